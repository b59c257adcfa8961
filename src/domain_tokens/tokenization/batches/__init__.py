"""The rules of an intervention for many texts at once: what most sites are shows beside them."""
