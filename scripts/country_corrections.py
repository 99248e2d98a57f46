"""What `build_world_facts.py` changes in countryinfo's data, and why. Names are countryinfo's.

Facts that are disputed, out of date, or have a value that a fair reader could take for true although
it is not given, are left out (`LEFT_OUT`) or guarded (`ALSO`: never used as a false value).
"""

from __future__ import annotations

DEPENDENT_OR_DEFUNCT = frozenset(
    """American Samoa|Anguilla|Antarctica|Aruba|Bermuda|Bonaire, Sint Eustatius and Saba|Bouvet Island|
    British Indian Ocean Territory|Cayman Islands|Christmas Island|Cocos (Keeling) Islands|Cook Islands|
    Curaçao|Falkland Islands|Faroe Islands|French Guiana|French Polynesia|
    French Southern and Antarctic Lands|Gibraltar|Greenland|Guadeloupe|Guam|Guernsey|
    Heard Island and McDonald Islands|Vatican City State|Holy See (Vatican City State)|Hong Kong|Jersey|
    Macau|Isle of Man|Martinique|Mayotte|Montserrat|Antilles néerlandaises|New Caledonia|Niue|
    Norfolk Island|Northern Mariana Islands|Palestine, State of|Pitcairn Islands|Puerto Rico|Réunion|
    Saint Barthélemy|Saint Helena|Saint Martin (French part)|Saint Pierre and Miquelon|
    Serbia and Montenegro|Sint Maarten (Dutch part)|South Georgia|Svalbard and Jan Mayen|Tokelau|
    Turks and Caicos Islands|United States Minor Outlying Islands|Virgin Islands, British|
    Virgin Islands, U.S.|Wallis and Futuna|Western Sahara|Åland Islands""".replace("\n    ", "").split("|")
)
"""Not countries of their own, no longer there, or a second entry for the same one."""

RENAMED = {
    "The Bahamas": "Bahamas",
    "The Gambia": "Gambia",
    "Republic of Macedonia": "North Macedonia",
    "Swaziland": "Eswatini",
}
"""To the name in use, without the article."""

WITH_ARTICLE = frozenset(
    """Bahamas|Central African Republic|Comoros|Czech Republic|Democratic Republic of the Congo|
    Dominican Republic|Federated States of Micronesia|Gambia|Maldives|Marshall Islands|Netherlands|
    Philippines|Republic of the Congo|Seychelles|Solomon Islands|United Arab Emirates|United Kingdom|
    United States""".replace("\n    ", "").split("|")
)

CAPITALS = {"Kazakhstan": "Astana", "United States": "Washington, D.C."}
"""Renamed again in 2022; the comma."""

CURRENCIES = {"Croatia": ["EUR"], "El Salvador": ["USD"], "Haiti": ["HTG"]}
"""The euro since 2023; the colón is out of use; the gourde alone is official."""

LANGUAGES = {
    "Andorra": ["ca"],
    "Argentina": ["es"],
    "Armenia": ["hy"],
    "Azerbaijan": ["az"],
    "Belize": ["en"],
    "Burundi": ["rn", "fr", "en"],
    "Cyprus": ["el", "tr"],
    "Czech Republic": ["cs"],
    "Equatorial Guinea": ["es", "fr", "pt"],
    "Ethiopia": ["am", "om", "so", "ti", "aa"],
    "Guinea": ["fr"],
    "Lebanon": ["ar"],
    "Malaysia": ["ms"],
    "Namibia": ["en"],
    "Norway": ["no"],
    "Philippines": ["tl", "en"],
    "Republic of Macedonia": ["mk", "sq"],
    "Rwanda": ["rw", "en", "fr", "sw"],
    "Serbia": ["sr"],
    "Turkmenistan": ["tk"],
    "Uzbekistan": ["uz"],
}
"""Official languages where the data has others besides, a wrong code, or none."""

DEMONYMS = {
    "Argentina": "Argentine",
    "Bosnia and Herzegovina": "Bosnian",
    "Cape Verde": "Cape Verdean",
    "Comoros": "Comorian",
    "Djibouti": "Djiboutian",
    "Ecuador": "Ecuadorian",
    "Iceland": "Icelandic",
    "Kyrgyzstan": "Kyrgyz",
    "Maldives": "Maldivian",
    "Saint Vincent and the Grenadines": "Vincentian",
    "Saudi Arabia": "Saudi",
    "Suriname": "Surinamese",
    "São Tomé and Príncipe": "São Toméan",
    "Tajikistan": "Tajik",
    "Uzbekistan": "Uzbek",
}
"""The usual form, and the adjective where the data has the noun."""

LEFT_OUT = {
    "P36": "Bolivia|Burundi|Israel|Nauru|Palestine|San Marino|South Africa|Sri Lanka|Swaziland",
    "P38": "Bulgaria|Zimbabwe",
    "P37": "Afghanistan|Burkina Faso|Israel|Mali|Mauritius|Montenegro|Niger",
    "P30": "Armenia|Australia|Azerbaijan|Cyprus|East Timor|Egypt|Georgia|Indonesia|Kazakhstan|Russia|Turkey",
    "P1549": "Antigua and Barbuda|Botswana|Kiribati|Lesotho|New Zealand|Saint Kitts and Nevis|Vanuatu",
}
"""Capitals: disputed, shared, or moved. Currencies and languages: changed of late, or disputed. Continents:
on two, or one itself. Demonyms: two, or a noun that is not used as an adjective."""

ALSO = {
    "Spain": {"P37": ["Catalan"]},
    "Peru": {"P37": ["Quechua", "Aymara"]},
    "Algeria": {"P37": ["French"]},
    "Tunisia": {"P37": ["French"]},
    "Morocco": {"P37": ["French", "Spanish"]},
    "Lebanon": {"P37": ["French"]},
    "Mauritania": {"P37": ["French"]},
    "Belize": {"P37": ["Spanish"]},
    "Namibia": {"P37": ["Afrikaans", "German"]},
    "South Sudan": {"P37": ["Arabic"]},
    "Turkmenistan": {"P37": ["Russian"]},
    "Uzbekistan": {"P37": ["Russian"]},
    "Armenia": {"P37": ["Russian"]},
    "Azerbaijan": {"P37": ["Russian"]},
    "Austria": {"P37": ["Croatian", "Hungarian", "Slovene"]},
    "Bolivia": {"P37": ["Guarani"]},
    "China": {"P37": ["Korean", "Mongolian"]},
    "Colombia": {"P37": ["English"]},
    "India": {"P37": ["Bengali", "Nepali", "Tamil", "Urdu"]},
    "Iraq": {"P37": ["Turkmen"]},
    "Netherlands": {"P37": ["English"]},
    "Nicaragua": {"P37": ["English"]},
    "North Macedonia": {"P37": ["Bosnian", "Serbian", "Turkish"]},
    "Slovenia": {"P37": ["Hungarian", "Italian"]},
    "United Kingdom": {"P37": ["Irish"]},
    "Eswatini": {"P38": ["rand"]},
    "Palestine": {"P38": ["dinar"]},
    "Moldova": {"P37": ["Russian", "Ukrainian"]},
    "Ukraine": {"P37": ["Russian"]},
    "Italy": {"P37": ["French", "German", "Slovene"]},
    "Croatia": {"P37": ["Bosnian", "Italian", "Serbian"]},
    "Serbia": {"P37": ["Bosnian", "Croatian", "Hungarian", "Romanian", "Slovak"]},
    "Czech Republic": {"P37": ["Slovak"]},
    "Malaysia": {"P37": ["English", "Indonesian"]},
    "Indonesia": {"P37": ["Malay"]},
    "Brunei": {"P37": ["English", "Indonesian"]},
    "Bangladesh": {"P37": ["English"]},
    "United States": {"P37": ["Spanish"]},
    "Malawi": {"P37": ["Swahili"]},
    "Denmark": {"P37": ["German"]},
    "Argentina": {"P37": ["Guarani"]},
    "Andorra": {"P37": ["Spanish", "French"]},
    "Haiti": {"P38": ["dollar"]},
    "El Salvador": {"P38": ["colón"]},
}
"""By the name in use. Co-official somewhere, official before, or spoken by many; money that is taken too."""

SAME_WORD = {
    "P38": (("koruna", "krona", "krone"), ("rial", "riyal", "real"), ("denar", "dinar"), ("leu", "lev"))
}
"""One word in several languages: one of them is no false value where another is true."""

NO_BORDER = (("India", "Sri Lanka"), ("India", "Afghanistan"), ("Cyprus", "United Kingdom"))
"""Land borders that the data has and the world has not."""

MISSING_BORDERS = (
    ("Chad", "Sudan"),
    ("China", "Nepal"),
    ("Egypt", "Palestine"),
    ("India", "Myanmar"),
    ("Iraq", "Kuwait"),
)
"""Land borders that only one side of the data has."""

SOUTH_AMERICA = frozenset(
    """Argentina|Bolivia|Brazil|Chile|Colombia|Ecuador|Guyana|Paraguay|Peru|Suriname|Uruguay|
    Venezuela""".replace("\n    ", "").split("|")
)
"""The data's "Americas" are two continents."""

NO_ALIASES = frozenset(
    """Congo|Guiana|Lao|Mexicanos|Montenegrin|Portuguesa|Prathet|Thai|Togolese|Island|the Abode of Peace|
    Brunei Darussalam the Abode of Peace|Yugoslavia""".replace("\n    ", "").split("|")
)
"""Parts of a longer name, words that mean something else, and names of two countries."""

MORE_ALIASES = {
    "Eswatini": ["Swaziland"],
    "North Macedonia": ["Macedonia", "Republic of Macedonia"],
    "Bahamas": ["The Bahamas"],
    "Gambia": ["The Gambia"],
    "Myanmar": ["Burma"],
    "United States": ["USA", "U.S.", "America"],
}
