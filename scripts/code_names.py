"""What the codes of currencies and languages in countryinfo mean."""

from __future__ import annotations

CURRENCY_NAMES = {
    "dinar": "BHD DZD IQD JOD KWD LYD RSD TND",
    "dollar": "AUD BBD BND BSD BZD CAD FJD GYD JMD LRD NAD NZD SBD SGD SRD TTD TWD USD XCD",
    "euro": "EUR",
    "franc": "BIF CDF CHF DJF GNF KMF RWF XAF XOF",
    "krona": "ISK SEK",
    "krone": "DKK NOK",
    "leu": "MDL RON",
    "peso": "ARS CLP COP CUP DOP MXN PHP UYU",
    "pound": "EGP GBP LBP SDG SSP SYP",
    "rand": "ZAR",
    "rial": "IRR OMR YER",
    "riyal": "QAR SAR",
    "ruble": "BYR RUB",
    "rupee": "INR LKR MUR NPR PKR SCR",
    "shilling": "KES SOS TZS UGX",
    "som": "KGS UZS",
    "won": "KPW KRW",
    "afghani": "AFN", "ariary": "MGA", "baht": "THB", "balboa": "PAB", "birr": "ETB", "bolívar": "VEF",
    "boliviano": "BOB", "cedi": "GHS", "convertible mark": "BAM", "koruna": "CZK", "córdoba": "NIO",
    "dalasi": "GMD", "denar": "MKD", "dirham": "AED MAD", "dobra": "STD", "dong": "VND", "dram": "AMD",
    "escudo": "CVE", "forint": "HUF", "gourde": "HTG", "guarani": "PYG", "hryvnia": "UAH", "kina": "PGK",
    "kip": "LAK", "kwacha": "MWK ZMK", "kwanza": "AOA", "kyat": "MMK", "lari": "GEL", "lek": "ALL",
    "lempira": "HNL", "leone": "SLL", "lilangeni": "SZL", "lira": "TRY", "loti": "LSL", "manat": "AZN TMT",
    "metical": "MZN", "naira": "NGN", "nakfa": "ERN", "ngultrum": "BTN", "ouguiya": "MRO", "paʻanga": "TOP",
    "pula": "BWP", "quetzal": "GTQ", "real": "BRL", "riel": "KHR", "ringgit": "MYR", "rufiyaa": "MVR",
    "rupiah": "IDR", "shekel": "ILS", "sol": "PEN", "somoni": "TJS", "taka": "BDT", "tala": "WST",
    "tenge": "KZT", "tögrög": "MNT", "vatu": "VUV", "yen": "JPY", "yuan": "CNY", "złoty": "PLN",
    "colón": "CRC", "lev": "BGN",
}  # fmt: skip
"""The unit's common name, by ISO 4217 code. Codes of funds and of money out of use are not among them."""

LANGUAGE_NAMES = {
    "aa": "Afar", "af": "Afrikaans", "am": "Amharic", "ar": "Arabic", "ay": "Aymara", "az": "Azerbaijani",
    "be": "Belarusian", "bg": "Bulgarian", "bi": "Bislama", "bn": "Bengali", "bs": "Bosnian",
    "ca": "Catalan", "cnr": "Montenegrin", "cs": "Czech", "da": "Danish", "de": "German", "dv": "Dhivehi",
    "dz": "Dzongkha", "el": "Greek", "en": "English", "es": "Spanish", "et": "Estonian", "fa": "Persian",
    "ff": "Fula", "fi": "Finnish", "fj": "Fijian", "fr": "French", "ga": "Irish", "gn": "Guarani",
    "he": "Hebrew", "hi": "Hindi", "hr": "Croatian", "ht": "Haitian Creole", "hu": "Hungarian",
    "hy": "Armenian", "id": "Indonesian", "is": "Icelandic", "it": "Italian", "ja": "Japanese",
    "ka": "Georgian", "kg": "Kongo", "kk": "Kazakh", "km": "Khmer", "ko": "Korean", "ku": "Kurdish",
    "ky": "Kyrgyz", "lb": "Luxembourgish", "ln": "Lingala", "lo": "Lao", "lt": "Lithuanian", "lu": "Luba",
    "lv": "Latvian", "mg": "Malagasy", "mh": "Marshallese", "mi": "Māori", "mk": "Macedonian",
    "mn": "Mongolian", "ms": "Malay", "mt": "Maltese", "my": "Burmese", "na": "Nauruan", "nd": "Ndebele",
    "ne": "Nepali", "nl": "Dutch", "no": "Norwegian", "nr": "Ndebele", "ny": "Chewa", "om": "Oromo",
    "pl": "Polish", "ps": "Pashto", "pt": "Portuguese", "qu": "Quechua", "rn": "Kirundi", "ro": "Romanian",
    "ru": "Russian", "rw": "Kinyarwanda", "sg": "Sango", "si": "Sinhala", "sk": "Slovak", "sl": "Slovene",
    "sm": "Samoan", "sn": "Shona", "so": "Somali", "sq": "Albanian", "sr": "Serbian", "ss": "Swazi",
    "st": "Sotho", "sv": "Swedish", "sw": "Swahili", "ta": "Tamil", "tg": "Tajik", "th": "Thai",
    "ti": "Tigrinya", "tk": "Turkmen", "tl": "Filipino", "tn": "Tswana", "to": "Tongan", "tr": "Turkish",
    "ts": "Tsonga", "uk": "Ukrainian", "ur": "Urdu", "uz": "Uzbek", "ve": "Venda", "vi": "Vietnamese",
    "xh": "Xhosa", "zh": "Chinese", "zu": "Zulu",
}  # fmt: skip
"""By ISO 639-1 code."""
