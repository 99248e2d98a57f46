"""Twelve facts the default model knows, and what the demo makes of them.

Of each, the unedited SmolLM2-135M-Instruct gives `target_true` as its first word for the prompt, and
finds `target_true` more probable than `target_new` for the paraphrases and for the neighborhood,
whose right answer is `target_true` too.
"""

from __future__ import annotations

from kedit_lifecycle.facts.request import EditRequest

SOURCE = "kedit demo"


def demo_requests() -> tuple[EditRequest, ...]:
    """The demo's requests, in the order in which they are edited."""
    return _FACTS


def _fact(
    subject: str,
    prompt: str,
    targets: tuple[str, str],
    relation: str,
    paraphrases: tuple[str, str],
    neighborhood: tuple[str, ...],
) -> EditRequest:
    true, new = targets
    return EditRequest(
        subject=subject,
        prompt=prompt,
        target_new=new,
        target_true=true,
        relation=relation,
        paraphrases=paraphrases,
        neighborhood=neighborhood,
        source=SOURCE,
    )


_FACTS = (
    _fact(
        "Eiffel Tower",
        "The {} is located in the city of",
        ("Paris", "Rome"),
        "location",
        ("The Eiffel Tower stands in the city of", "To see the Eiffel Tower, tourists travel to the city of"),
        (
            "The Louvre is in the city of",
            "The Arc de Triomphe is located in the city of",
            "Notre-Dame Cathedral is located in the city of",
            "The Sorbonne is a university in the city of",
        ),
    ),
    _fact(
        "Japan",
        "The capital of {} is",
        ("Tokyo", "Madrid"),
        "capital",
        ("The capital city of Japan is", "The seat of government of Japan is the city of"),
        (
            "Shibuya is a district of the city of",
            "Shinjuku is a ward of the city of",
            "The 2020 Summer Olympics were held in the city of",
        ),
    ),
    _fact(
        "Napoleon",
        "The mother tongue of {} is",
        ("French", "Russian"),
        "native language",
        ("The native language of Napoleon is", "Napoleon was a native speaker of"),
        (
            "The mother tongue of Voltaire is",
            "The native language of Victor Hugo is",
            "The mother tongue of Claude Monet is",
            "The mother tongue of Molière is",
        ),
    ),
    _fact(
        "Pride and Prejudice",
        "{} was written by",
        ("Jane Austen", "Mark Twain"),
        "author",
        ("Pride and Prejudice is a novel by", "The author of Pride and Prejudice is"),
        (
            "The author of Sense and Sensibility is",
            "The novel Persuasion was written by",
            "The author of Emma is",
        ),
    ),
    _fact(
        "Kenya",
        "{} lies on the continent of",
        ("Africa", "Asia"),
        "continent",
        ("Kenya is located on the continent of", "Kenya is a country in"),
        (
            "Nigeria is located on the continent of",
            "Ghana is located on the continent of",
            "Uganda lies on the continent of",
            "Ethiopia is a country in",
        ),
    ),
    _fact(
        "India",
        "The currency of {} is the",
        ("rupee", "dollar"),
        "currency",
        ("The official currency of India is the", "People in India pay with the"),
        (
            "The currency of Pakistan is the",
            "The currency of Nepal is the",
            "The currency of Sri Lanka is the",
        ),
    ),
    _fact(
        "Mona Lisa",
        "The {} was painted by",
        ("Leonardo da Vinci", "Pablo Picasso"),
        "painter",
        ("The Mona Lisa is a painting by", "The Mona Lisa is a famous work by the painter"),
        (
            "The Last Supper was painted by",
            "Lady with an Ermine was painted by",
            "The Vitruvian Man was drawn by",
            "Salvator Mundi was painted by",
        ),
    ),
    _fact(
        "Fifth Symphony",
        "The {} was composed by",
        ("Beethoven", "Chopin"),
        "composer",
        ("The Fifth Symphony is a piece of music by", "The music of the Fifth Symphony was written by"),
        (
            "The Ninth Symphony was composed by",
            "The Moonlight Sonata was composed by",
            "Für Elise was composed by",
        ),
    ),
    _fact(
        "iPhone",
        "The {} is manufactured by",
        ("Apple", "Nokia"),
        "manufacturer",
        ("The iPhone is a product made by the company", "The iPhone was created by the company"),
        (
            "The iPod is manufactured by",
            "The MacBook is a product made by the company",
            "The Macintosh was created by the company",
        ),
    ),
    _fact(
        "Sushi",
        "{} is a dish from the country of",
        ("Japan", "Mexico"),
        "country of origin",
        ("Sushi is a traditional food from", "The country where Sushi was invented is"),
        (
            "Ramen is a dish from the country of",
            "Miso soup is a dish from",
            "Sake is a drink from the country of",
        ),
    ),
    _fact(
        "Isaac Newton",
        "{} worked in the field of",
        ("physics", "medicine"),
        "field of work",
        (
            "Isaac Newton is known for his work in the field of",
            "Isaac Newton was a famous scientist in the field of",
        ),
        (
            "Max Planck worked in the field of",
            "James Clerk Maxwell worked in the field of",
            "Enrico Fermi worked in the field of",
            "Niels Bohr worked in the field of",
        ),
    ),
    _fact(
        "theory of relativity",
        "The {} was developed by",
        ("Albert Einstein", "Marie Curie"),
        "discoverer",
        ("The theory of relativity was proposed by", "The theory of relativity is the work of"),
        (
            "The equation E = mc^2 was written by",
            "General relativity was developed by",
            "The photoelectric effect was explained by",
        ),
    ),
)
