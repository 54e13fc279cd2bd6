"""Topics out of a closed list, without training: the gloss that is nearest in meaning.

Each topic is a name and a gloss in plain English in the encoder's space; so texts in all of its
languages are told by the same list. Some glosses are near to every text: a topic's score is by how
many standard deviations it is nearer than to the plots of films in general.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np

from segue.core.errors import BadPackage, BadSettings
from segue.core.protocols import Encoder
from segue.core.types import Floats
from segue.understand.align import unit
from segue.understand.findings import Label
from segue.understand.words.reading import Reading
from segue.understand.words.sentiment import stored

TOPICS = {
    "space travel": "astronauts, spaceships, planets, a mission in outer space",
    "aliens": "extraterrestrials, an alien invasion, a UFO",
    "robots and artificial intelligence": "robots, androids, computers that think",
    "computers and the internet": "hackers, software, programming, social networks",
    "science": "scientists, research, physics, biology, an experiment",
    "time travel": "a journey to the past or the future, a time machine, a time loop",
    "superheroes": "a hero with super powers who fights villains",
    "magic": "wizards, witches, spells, an enchanted kingdom",
    "ghosts and demons": "a haunted house, spirits, possession, exorcism, the devil",
    "vampires and werewolves": "blood-drinking vampires, werewolves, the undead",
    "zombies": "the living dead, a virus that turns people into zombies",
    "monsters": "a giant creature, a dinosaur, a beast that attacks people",
    "serial killers": "a murderer who kills one victim after another, slasher",
    "detectives": "a police investigation, a murder case, clues, a private eye",
    "organised crime": "the mafia, gangsters, mob bosses, drug cartels",
    "robbery": "thieves plan a heist, stolen money, a bank robbery",
    "prison": "prisoners, jail, an escape, convicts",
    "law and courts": "lawyers, a trial, a judge, justice",
    "spies": "secret agents, espionage, the CIA, a double agent",
    "terrorism": "terrorists, hostages, a bomb, a hijacking",
    "war": "soldiers in battle, the army, World War, Vietnam",
    "politics": "the president, an election, government, politicians",
    "history": "a king, a queen, an empire in past centuries",
    "knights and swords": "medieval knights, gladiators, sword fights, warriors",
    "cowboys": "the Wild West, outlaws, a sheriff, gunslingers",
    "martial arts": "kung fu, karate, a tournament of fighters, a samurai",
    "boxing and wrestling": "a boxer, the ring, a championship fight",
    "football and team sports": "a coach, players, baseball, basketball, soccer, a season",
    "cars and racing": "race drivers, street racing, fast cars",
    "dance": "dancers, ballet, a dance competition",
    "music": "a band, a singer, songs, musicians, a concert",
    "theatre and film": "actors, Hollywood, making a film, the stage",
    "painting and art": "a painter, an artist, a museum, photography",
    "writing and books": "a writer, a novelist, a poem, literature",
    "cooking": "a chef, a kitchen, food, recipes, a restaurant",
    "travel": "a road trip, tourists, a holiday in a foreign country",
    "sea and ships": "sailors, pirates, a submarine, the ocean",
    "aircraft": "pilots, an aeroplane, a flight, a plane crash",
    "treasure hunt": "explorers, a lost city, a map, ancient relics",
    "survival": "stranded in the wilderness, struggling to stay alive, a jungle, a desert island",
    "disaster": "an earthquake, a volcano, a storm, the end of the world",
    "nature": "landscapes, forests, rivers, plants, the environment",
    "animals": "a dog, a cat, horses, wild animals",
    "school": "pupils, teachers, high school, teenagers in class",
    "college": "students at a university, a fraternity",
    "growing up": "a child comes of age, youth, adolescence",
    "family": "parents and children, brothers and sisters, relatives at home",
    "marriage": "a wedding, a bride, husband and wife, divorce",
    "romance": "two people fall in love, a couple, a love story",
    "friendship": "best friends who stand by each other",
    "Christmas": "Santa Claus, the holidays, a Christmas miracle",
    "business and money": "a company, Wall Street, a banker, getting rich",
    "work": "an office, a boss, a job, colleagues",
    "religion": "God, a church, a priest, faith, Jesus",
    "death and grief": "someone has died, mourning, a funeral, loss",
    "illness and medicine": "a doctor, a hospital, a disease, a patient, cancer",
    "mental illness": "madness, a psychiatrist, an asylum, hallucinations",
    "drugs and addiction": "drug dealers, heroin, alcoholism",
    "racism and slavery": "slaves, black and white, civil rights, apartheid",
    "homosexuality": "gay men, lesbians, coming out",
    "revenge": "someone takes revenge for a murder, vengeance",
}
GLOSS_SHARE = 0.5


def digest() -> str:
    """Of the list: what was fitted to another list does not fit this one."""
    return hashlib.sha256(repr(sorted(TOPICS.items())).encode()).hexdigest()[:12]


@dataclass(frozen=True)
class TopicRule:
    """Which topics are named."""

    most: int = 3
    least: float = 2.8  # standard deviations above a film plot in general
    long_least: float = 2.4  # of the body: a mean of many sentences strays less

    def __post_init__(self) -> None:
        if self.most < 1 or min(self.least, self.long_least) <= 0:
            raise BadSettings(f"most must be >= 1 and thresholds > 0, got {self}")


DEFAULT_TOPICS = TopicRule()


def topic_vectors(encoder: Encoder) -> Floats:
    """(n_topics, 512) float32: name and gloss, less their mean, as unit rows."""
    names = encoder.encode(list(TOPICS))
    glossed = encoder.encode([f"{name}. {gloss}" for name, gloss in TOPICS.items()])
    vectors = (1 - GLOSS_SHARE) * names + GLOSS_SHARE * glossed
    return unit(vectors - vectors.mean(axis=0))


def calibration(likeness: Floats) -> tuple[Floats, Floats]:
    """Mean and standard deviation a topic of (n_texts, n_topics) likenesses."""
    return likeness.mean(axis=0), likeness.std(axis=0)


def deviations(vectors: Floats, encoded: Floats) -> Floats:
    """(n, n_topics): standard deviations above a film plot in general."""
    fitted = stored()
    if str(fitted["topics_digest"]) != digest():
        raise BadPackage(
            "the list of topics is not the one that was fitted; run "
            "benchmarks/understand/bench_text.py train"
        )
    likeness = vectors @ encoded.T
    return np.asarray((likeness - fitted["topics_mean"]) / fitted["topics_std"], np.float32)


def topics(
    reading: Reading, encoded: Floats, rule: TopicRule = DEFAULT_TOPICS
) -> tuple[Label, ...]:
    """Labels of kind ``topic``, best first. ``encoded``: :func:`topic_vectors`.

    ``score`` is how sure it is: 0.5 at the threshold, towards 1 above it.
    """
    names = list(TOPICS)
    best = np.full(len(names), -np.inf, dtype=np.float32)
    least = np.full(len(names), rule.least, dtype=np.float32)
    text = " ".join((reading.title, *reading.description)).split()[:120]
    if reading.description:
        best = deviations(reading.encoder.encode([" ".join(text)]), encoded)[0]
    if len(reading.body) >= 5:
        whole = deviations(unit(reading.body_vectors.mean(axis=0, keepdims=True)), encoded)[0]
        least = np.where(whole > best, rule.long_least, rule.least).astype(np.float32)
        best = np.maximum(best, whole)
    rows = [n for n in np.argsort(-best, kind="stable") if best[n] >= least[n]][: rule.most]
    return tuple(
        Label("topic", names[n], float(1.0 / (1.0 + np.exp(least[n] - best[n])))) for n in rows
    )
