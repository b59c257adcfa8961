"""The one table of currencies: their signs, codes and short names, in rules and in answers alike."""

CURRENCY_SIGNS = "$¢£¤¥֏؋߾߿৲৳৻૱௹฿៛₠-⃁꠸\U00011fdd-\U00011fe0\U0001e2ff\U0001ecb0"  # Unicode's category Sc
# ISO 4217, without the codes of metals, funds and tests; RMB is not in it and often written.
CURRENCY_CODES = """
    AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BHD BIF BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF CLP CNY COP
    CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GNF GTQ GYD HKD HNL HTG HUF IDR ILS INR
    IQD IRR ISK JMD JOD JPY KES KGS KHR KMF KPW KRW KWD KYD KZT LAK LBP LKR LRD LSL LYD MAD MDL MGA MKD MMK MNT MOP MRU
    MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG QAR RMB RON RSD RUB RWF SAR SBD SCR
    SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TND TOP TRY TTD TWD TZS UAH UGX USD UYU UZS VED VES VND
    VUV WST XAF XCD XCG XOF XPF YER ZAR ZMW ZWG
"""
# US$, A$ and NT$; the backslash is TeX's. Codes are capitals, or `top 54` would be a price.
SIGN = rf"\\?(?:[A-Z]{{1,3}})?[{CURRENCY_SIGNS}]"
CODE = rf"(?:{'|'.join(CURRENCY_CODES.split())}|usd|eur|gbp|inr)"
NAME = r"(?:[Rr][sS]\.?|Rp\.?|RM|Tk\.?|[kK][rR]\.?|S?Fr\.?|Ksh\.?|zł|Kč|Ft|руб\.?|ریال)"
# Between a sign and a number; three capitals are taken for a code, because a look-behind tries every one of a list.
BEFORE_NUMBER = rf"(?:{SIGN}|\b[A-Z]{{3}}|\b{NAME})"
