// The page of the playground. What models and people write is only ever set as `textContent`.
"use strict";

const at = (id) => document.getElementById(id);
const TINTS = 4;
const NARROW = "(max-width: 40rem)";

/** Make an element with classes and a text. */
function make(tag, classes = "", text = "") {
  const element = document.createElement(tag);
  element.className = classes;
  element.textContent = text;
  return element;
}

/** Write a probability: three digits, and no more zeros than can be read. */
function percent(value) {
  if (value === null) return "no room";
  if (value === 0) return "0%";
  return value < 1e-4 ? "<0.01%" : `${Number((100 * value).toPrecision(3))}%`;
}

/** A text in which spaces are seen. */
const spaced = (text) => text.replaceAll(" ", "␣");

/** Characters as the server counts them: code points. */
const characters = (text) => Array.from(text);

// --- A model's card --------------------------------------------------------------------------------------------------

class Card {
  constructor(model) {
    this.name = model.name;
    this.element = make("article", "model");
    const facts = model.num_facts ? `${model.num_facts} facts` : "no facts";
    this.element.append(
      make("h2", "", model.name),
      make("p", "about", `${model.num_ids.toLocaleString("en")} ids, ${facts}, context of ${model.num_positions} tokens`),
    );
    this.body = make("div");
    this.element.append(this.body);
  }

  clear() {
    this.body.replaceChildren();
    this.steps = [];
    this.chips = [];
    this.answered = false;
    this.asked = make("div", "chips asked");
    this.answer = make("div", "chips answered");
    this.answer.setAttribute("aria-live", "off");
  }

  prompt(event) {
    event.chips.forEach((chip, index) => {
      const shown = makeChip(chip, index);
      shown.title = `${chip.name || chip.text} (id ${chip.id})`;
      this.asked.append(shown);
      if (chip.text.includes("↵")) this.asked.append(make("br"));
    });
    this.body.append(make("p", "caption", `The question as it reads it: ${event.chips.length} tokens`), this.asked);
    if (event.rewritten.length) {
      const note = make("p", "about", "Its tokenizer wrote ");
      event.rewritten.forEach(([source, written], index) => {
        note.append(index ? ", " : "", make("code", "", source), " as ", make("code", "", written));
      });
      this.body.append(note);
    }
    if (event.swapped === false) this.body.append(make("p", "about", "It has no tokens for these two facts: nothing is swapped."));
    this.body.append(make("p", "caption", "Its answer"), this.answer);
  }

  token(event) {
    const { step } = event;
    const index = this.steps.length;
    const chip = makeChip(step.chip, index);
    chip.tabIndex = 0;
    chip.setAttribute("role", "button");
    chip.setAttribute("aria-describedby", "detail");
    chip.addEventListener("mouseenter", () => showDetail(chip, step));
    chip.addEventListener("focus", () => showDetail(chip, step));
    chip.addEventListener("click", () => showDetail(chip, step));
    chip.addEventListener("mouseleave", hideDetail);
    chip.addEventListener("blur", hideDetail);
    this.steps.push(step);
    this.chips.push(chip);
    this.answer.append(chip);
    if (step.chip.text.includes("↵")) this.answer.append(make("br"));
  }

  done(event) {
    const { read } = event;
    this.answered = true;
    this.chips.slice(read.num_tokens).forEach((chip, index) => {
      if (this.steps[read.num_tokens + index].chip.kind !== "end") chip.classList.add("behind");
    });
    const list = make("ul", "equations");
    for (const equation of read.equations) {
      const verdict = equation.right ? "right" : "wrong";
      this.mark(equation, verdict);
      list.append(make("li", verdict, `${equation.right ? "✓" : "✗"} ${equation.text} ${verdict}${equation.form === "fact" ? ", as a fact" : ""}`));
    }
    const result = make("p", "result", read.number === null ? "No number after ####" : "The answer is ");
    if (read.number !== null) result.append(make("b", "", read.number));
    result.append(`, ${read.num_tokens} ${read.num_tokens === 1 ? "token" : "tokens"}, ended by: ${read.end}`);
    this.body.append(list, result, ...read.circumstances.map(about));
  }

  /** Underline the part of each chip that an equation covers. */
  mark(equation, verdict) {
    this.steps.forEach((step, index) => {
      const from = Math.max(step.start, equation.start);
      const to = Math.min(step.end, equation.end);
      if (from >= to) return;
      const chip = this.chips[index];
      const shown = characters(step.chip.text);
      const isWhole = from === step.start && to === step.end;
      if (isWhole || shown.length !== step.end - step.start || chip.childElementCount) {
        chip.classList.add(verdict);
        return;
      }
      const part = (start, end) => shown.slice(start - step.start, end - step.start).join("");
      chip.replaceChildren(part(step.start, from), make("span", verdict, part(from, to)), part(to, step.end));
    });
  }

  error(event) {
    this.body.append(make("p", "problem", event.message));
  }
}

/** Say under which circumstances an answer was written. */
function about(circumstance) {
  return make("p", "about", `In this answer, ${circumstance}.`);
}

function makeChip(chip, index) {
  return make("span", `chip ${chip.kind} tint${index % TINTS}`, chip.text);
}

// --- The rivals of a token -------------------------------------------------------------------------------------------

function bar(value, classes = "", note = "") {
  const element = make("div", `bar ${classes}`);
  const track = make("div", "track");
  const fill = make("div", "fill");
  fill.style.width = `${100 * (value ?? 0)}%`;
  track.append(fill);
  element.append(track, make("span", "value", `${percent(value)}${note}`));
  return element;
}

function label(text, kind = "text") {
  const element = make("span", `what ${kind}`);
  element.append(make("b", "", spaced(text)));
  return element;
}

function showDetail(chip, step) {
  const detail = at("detail");
  const title = make("p", "title");
  title.append(make("code", "", step.chip.name || spaced(step.chip.text)), ` id ${step.chip.id}, probability ${percent(step.probability)}`);
  const bars = make("div", "bars");
  bars.append(label(step.chip.text, step.chip.kind), bar(step.probability, "taken"));
  for (const rival of step.rivals) {
    bars.append(label(rival.chip.text, rival.chip.kind));
    bars.append(bar(rival.probability, rival.forbidden ? "forbidden" : "", rival.forbidden ? ", forbidden" : ""));
  }
  detail.replaceChildren(title, bars);
  detail.hidden = false;
  if (matchMedia(NARROW).matches) return;
  const box = chip.getBoundingClientRect();
  const below = box.bottom + 6 + detail.offsetHeight < innerHeight || box.top < detail.offsetHeight;
  detail.style.top = `${scrollY + (below ? box.bottom + 6 : box.top - detail.offsetHeight - 6)}px`;
  detail.style.left = `${scrollX + Math.max(8, Math.min(box.left, document.documentElement.clientWidth - detail.offsetWidth - 8))}px`;
}

function hideDetail() {
  at("detail").hidden = true;
}

// --- Asking ----------------------------------------------------------------------------------------------------------

let cards = [];
let asked = null;
let running = null;
let answered = 0;

function complain(message) {
  at("problem").textContent = message;
  at("problem").hidden = !message;
}

/** Send JSON, and return the response; an error of the server is thrown with its message. */
async function post(path, values, signal) {
  const options = { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(values), signal };
  const response = await fetch(path, options);
  if (!response.ok) throw new Error((await response.json()).error);
  return response;
}

function wanted() {
  const swap = at("swapping").checked ? [at("first").value, at("second").value] : null;
  return {
    question: at("question").value,
    temperature: at("temperature").valueAsNumber,
    seed: at("seed").valueAsNumber,
    forbid_facts: at("forbid").checked,
    swap,
    max_new_tokens: at("longest").valueAsNumber,
  };
}

async function ask() {
  running = new AbortController();
  asked = null;
  complain("");
  hideDetail();
  at("ask").textContent = "Stop";
  at("difference").hidden = true;
  at("reason").replaceChildren();
  cards.forEach((card) => card.clear());
  document.body.dataset.state = "answering";
  try {
    await listen(await post("/ask", wanted(), running.signal));
  } catch (error) {
    if (error.name !== "AbortError") complain(error.message);
  }
  running = null;
  at("ask").textContent = "Ask";
  document.body.dataset.state = "ready";
  document.body.dataset.answered = ++answered;
}

/** Read lines of JSON as they come. */
async function listen(response) {
  const reader = response.body.getReader();
  const decoder = new TextDecoder();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    const lines = (rest + decoder.decode(value, { stream: true })).split("\n");
    rest = lines.pop();
    lines.forEach((line) => happen(JSON.parse(line)));
  }
  if (asked === null) complain("The answer broke off. Is the playground still running?");
}

function happen(event) {
  if (event.event !== "end") {
    cards[event.model][event.event](event);
    return;
  }
  asked = event.ask;
  at("difference").hidden = cards.filter((card) => card.answered).length < 2;
}

// --- Why did they differ? --------------------------------------------------------------------------------------------

async function why() {
  const models = [Number(at("one").value), Number(at("two").value)];
  complain("");
  try {
    const response = await post("/why", { ask: asked, models });
    showDifference(await response.json(), models);
  } catch (error) {
    complain(error.message);
  }
}

function showDifference(difference, models) {
  document.querySelectorAll(".here").forEach((chip) => chip.classList.remove("here"));
  const reason = make("p", "reason", difference.reason);
  at("reason").replaceChildren(reason);
  if (difference.steps === null) return;
  const before = difference.before.trim() ? difference.before : spaced(difference.before);
  reason.append(...(difference.before ? [", after ", make("code", "", before), ":"] : [", at the beginning:"]));
  const legend = make("p", "legend");
  legend.append(...models.map((index) => make("span", "", cards[index].name)));
  const bars = make("div", "bars");
  difference.rows.forEach((row) => bars.append(...makeRow(row)));
  const note = "How likely each model goes on with this text, in whatever tokens; taken: its answer does. A text that begins another one includes it.";
  at("reason").append(...difference.circumstances.map((one) => make("p", "about", one)), legend, bars, make("p", "note", note));
  const chips = models.map((index, which) => cards[index].chips[difference.steps[which]]);
  chips.forEach((chip) => chip.classList.add("here"));
  chips[0].scrollIntoView({ block: "center" });
}

/** Say which share of a probability is of forbidden tokens. */
function forbiddenShare(share) {
  if (share < 0.0005) return "";
  return share > 0.9995 ? "forbidden" : `${percent(share)} of that forbidden`;
}

function makeRow(row) {
  const pair = make("div");
  row.chances.forEach((chance, which) => {
    const notes = [
      chance.num_tokens > 1 ? `${chance.num_tokens} tokens` : "",
      forbiddenShare(chance.forbidden),
      chance.taken ? "taken" : "",
    ].filter(Boolean);
    const classes = ["first", "second"][which] + (chance.taken ? " taken" : "") + (chance.forbidden > 0.5 ? " forbidden" : "");
    pair.append(bar(chance.probability, classes, notes.map((one) => `, ${one}`).join("")));
  });
  return [label(`${row.text}${row.ends ? " end of text" : ""}`, row.text ? "text" : "end"), pair];
}

// --- The beginning ---------------------------------------------------------------------------------------------------

function offer(select, texts, chosen, values = texts) {
  select.replaceChildren(...texts.map((text, index) => new Option(text, values[index])));
  select.selectedIndex = chosen;
}

async function begin() {
  const { models, facts } = await (await fetch("/models")).json();
  cards = models.map((model) => new Card(model));
  at("models").replaceChildren(...cards.map((card) => card.element));
  offer(at("first"), facts, Math.max(0, facts.indexOf("6*9=54")));
  offer(at("second"), facts, Math.max(1, facts.indexOf("7*8=56")));
  at("swap").hidden = facts.length < 2;
  const names = models.map((model) => model.name);
  const numbers = [...names.keys()];
  offer(at("one"), names, 0, numbers);
  offer(at("two"), names, Math.min(1, names.length - 1), numbers);
  at("pair").hidden = names.length < 3;
  document.body.dataset.state = "ready";
}

at("form").addEventListener("submit", (event) => {
  event.preventDefault();
  if (running) running.abort();
  else ask();
});
at("question").addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  if (!running) at("form").requestSubmit();
});
at("why").addEventListener("click", why);
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") hideDetail();
});
begin().catch((error) => complain(error.message));
