"""Tables of a workspace. Nothing here is special to one database.

``num`` columns are the database's own integer keys; they grow and are never reused, so row order
(order of ``num``) only ever appends and a model fitted on n items keeps its rows.
"""

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    false,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)
# SQLite gives automatic keys to INTEGER only, other databases want 64 bits.
Key = BigInteger().with_variant(Integer(), "sqlite")

meta = Table(
    "meta",
    metadata,
    Column("key", String(100), primary_key=True),
    Column("value", Text, nullable=False),
)

items = Table(
    "items",
    metadata,
    Column("num", Key, primary_key=True, autoincrement=True),
    Column("id", String(300), nullable=False, unique=True),
    Column("kind", String(20), nullable=False),
    Column("title", Text, nullable=False),
    Column("description", Text, nullable=False, default=""),
    Column("tags", JSON, nullable=False, default=list),
    Column("creators", JSON, nullable=False, default=list),
    Column("year", Integer),
    Column("language", String(20)),
    Column("duration_s", Double),
    Column("released_at", Double),
    Column("added_at", Double, nullable=False),
    Column("source", Text, nullable=False, default=""),
    Column("licence", Text, nullable=False, default=""),
    Column("content_hash", String(64), unique=True),  # sha256 of the media file
    Column("extra", JSON, nullable=False, default=dict),  # streams, container tags
    sqlite_autoincrement=True,
)

users = Table(
    "users",
    metadata,
    Column("num", Key, primary_key=True, autoincrement=True),
    Column("id", String(300), nullable=False, unique=True),
    Column("gender", String(20)),
    Column("age", Integer),
    Column("country", String(60)),
    Column("language", String(20)),
    Column("occupation", String(100)),
    Column("device", String(40)),
    Column("interests", JSON, nullable=False, default=list),
    # Whether friends may see what they liked.
    Column("shares", Boolean, nullable=False, default=False, server_default=false()),
    sqlite_autoincrement=True,
)

events = Table(
    "events",
    metadata,
    Column("num", Key, primary_key=True, autoincrement=True),
    Column("event_id", String(300), nullable=False, unique=True),
    Column("user_num", Key, ForeignKey("users.num"), nullable=False),
    Column("item_num", Key, ForeignKey("items.num"), nullable=False),
    Column("kind", String(20), nullable=False),
    Column("value", Double),
    Column("time", Double, nullable=False),  # Unix seconds
    Column("platform", String(60), nullable=False, default=""),
    Column("session", String(100), nullable=False, default=""),
    Column("position", Integer),
    Column("model_version", String(100), nullable=False, default=""),
    Index(None, "user_num", "time"),
    sqlite_autoincrement=True,
)

edges = Table(  # the social graph
    "edges",
    metadata,
    Column("src_num", Key, ForeignKey("users.num"), primary_key=True),
    Column("dst_num", Key, ForeignKey("users.num"), primary_key=True),
    Column("kind", String(20), primary_key=True),  # follow | friend | trust
    Column("weight", Double, nullable=False, default=1.0),
    Column("time", Double),
)

identities = Table(  # which ids of other platforms are one work or one person
    "identities",
    metadata,
    Column("entity", String(10), primary_key=True),  # item | user
    Column("platform", String(60), primary_key=True),
    Column("external_id", String(300), primary_key=True),
    Column("num", Key, nullable=False, index=True),  # items.num or users.num
)

links = Table(  # rows that are one work or one person; deleting a row takes the merge back exactly
    "links",
    metadata,
    Column("entity", String(10), primary_key=True),  # item | user
    Column("num", Key, primary_key=True),
    Column("into_num", Key, nullable=False, index=True),  # stands for all; never linked itself
    Column("method", String(20), nullable=False),  # learned | decided | login | email | phone
    Column("score", Double),
    Column("evidence", JSON, nullable=False, default=dict),
    Column("at", Double, nullable=False),
)

person_keys = Table(  # what a person let be used to find their other accounts, as keyed hashes
    "person_keys",
    metadata,
    Column("user_num", Key, ForeignKey("users.num"), primary_key=True),
    Column("kind", String(20), primary_key=True),  # login | email | phone
    Column("digest", String(64), primary_key=True, index=True),
    Column("consented_at", Double, nullable=False),
)

taste_edits = Table(  # what people said about their own taste
    "taste_edits",
    metadata,
    Column("num", Key, primary_key=True, autoincrement=True),
    Column("user_num", Key, ForeignKey("users.num"), nullable=False, index=True),
    Column("kind", String(20), nullable=False),  # more | less | lent
    Column("label", Text, nullable=False, default=""),  # of the interest, in words
    Column("items", JSON, nullable=False, default=list),  # ids that stand for the interest
    Column("start", Double),  # of a stretch when somebody else used the account
    Column("end", Double),
    Column("at", Double, nullable=False),
    sqlite_autoincrement=True,
)

contacts = Table(  # whom a campaign has addressed, so that nobody is addressed too often
    "contacts",
    metadata,
    Column("num", Key, primary_key=True, autoincrement=True),
    Column("user_num", Key, ForeignKey("users.num"), nullable=False),
    Column("item_num", Key, ForeignKey("items.num"), nullable=False),
    Column("campaign", String(100), nullable=False, default=""),
    Column("at", Double, nullable=False),
    Index(None, "user_num", "at"),
    sqlite_autoincrement=True,
)

exposures = Table(  # what was shown, and how likely that was, for off-policy evaluation
    "exposures",
    metadata,
    Column("num", Key, primary_key=True, autoincrement=True),
    Column("request_id", String(40), nullable=False, index=True),
    Column("user_num", Key, ForeignKey("users.num"), nullable=False, index=True),
    Column("item_num", Key, ForeignKey("items.num"), nullable=False),
    Column("position", Integer, nullable=False),
    Column("propensity", Double, nullable=False),  # in (0, 1]
    Column("policy", String(40), nullable=False),
    Column("model_version", String(100), nullable=False),
    Column("at", Double, nullable=False),
    sqlite_autoincrement=True,
)

files = Table(  # every file that ingest has looked at, so that a rerun resumes
    "files",
    metadata,
    Column("path", Text, primary_key=True),
    Column("size", BigInteger, nullable=False),
    Column("mtime_ns", BigInteger, nullable=False),
    Column("content_hash", String(64), index=True),
    Column("item_num", Key, ForeignKey("items.num"), index=True),
    Column("status", String(20), nullable=False),  # done | refused | attached
    Column("reason", Text, nullable=False, default=""),
    Column("checked_at", Double, nullable=False),
)

assets = Table(  # files made from media: posters, keyframes, 16 kHz sound, text
    "assets",
    metadata,
    Column("item_num", Key, ForeignKey("items.num"), primary_key=True),
    Column("kind", String(20), primary_key=True),  # poster | keyframe | audio16k | text | subtitle
    Column("position", Integer, primary_key=True),
    Column("path", Text, nullable=False),  # relative to the workspace's derived/ folder
    Column("time_s", Double),
    Column("content_hash", String(64), nullable=False),
)

scenes = Table(
    "scenes",
    metadata,
    Column("item_num", Key, ForeignKey("items.num"), primary_key=True),
    Column("level", String(10), primary_key=True),  # shot | scene
    Column("position", Integer, primary_key=True),
    Column("start_s", Double, nullable=False),
    Column("end_s", Double, nullable=False),
    Column("keyframe", Integer),  # position of the keyframe among the item's assets
)

annotations = Table(
    "annotations",
    metadata,
    Column("num", Key, primary_key=True, autoincrement=True),
    Column("item_num", Key, ForeignKey("items.num"), nullable=False),
    Column("kind", String(30), nullable=False),  # picture-label | sound-label | …
    Column("label", Text, nullable=False),
    Column("score", Double, nullable=False),
    Column("model", String(100), nullable=False),
    Column("start_s", Double),
    Column("end_s", Double),
    Index(None, "item_num", "kind"),
    UniqueConstraint("item_num", "kind", "label", "model", "start_s"),
    sqlite_autoincrement=True,
)

measures = Table(  # numbers about an item, as a whole or over time
    "measures",
    metadata,
    Column("num", Key, primary_key=True, autoincrement=True),
    Column("item_num", Key, ForeignKey("items.num"), nullable=False, index=True),
    Column("name", String(60), nullable=False),  # with its unit: tempo_bpm, loudness_lufs
    Column("value", Double, nullable=False),
    Column("model", String(100), nullable=False),
    Column("start_s", Double),
    sqlite_autoincrement=True,
)

cues = Table(  # words with their time: subtitles, or what was recognised
    "cues",
    metadata,
    Column("item_num", Key, ForeignKey("items.num"), primary_key=True),
    Column("model", String(100), primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("start_s", Double, nullable=False),
    Column("end_s", Double, nullable=False),
    Column("text", Text, nullable=False),
)

notes = Table(  # texts about an item: summary, words on the screen
    "notes",
    metadata,
    Column("item_num", Key, ForeignKey("items.num"), primary_key=True),
    Column("kind", String(30), primary_key=True),
    Column("model", String(100), primary_key=True),
    Column("language", String(20), nullable=False, default=""),
    Column("generated", Boolean, nullable=False, default=False),
    Column("text", Text, nullable=False),
)

prints = Table(  # fingerprints, by which copies in another encoding are found
    "prints",
    metadata,
    Column("item_num", Key, ForeignKey("items.num"), primary_key=True),
    Column("kind", String(30), primary_key=True),
    Column("model", String(100), primary_key=True),
    Column("data", LargeBinary, nullable=False),
)

copies = Table(  # pairs that look like one work; a person decides
    "copies",
    metadata,
    Column("item_num", Key, ForeignKey("items.num"), primary_key=True),
    Column("other_num", Key, ForeignKey("items.num"), primary_key=True),
    Column("score", Double, nullable=False),
    Column("evidence", JSON, nullable=False, default=dict),
    Column("status", String(20), nullable=False),  # proposed | same | different
)

done = Table(  # which step of understanding has dealt with which item, and what failed
    "done",
    metadata,
    Column("item_num", Key, ForeignKey("items.num"), primary_key=True),
    Column("step", String(40), primary_key=True),
    Column("model", String(100), nullable=False),
    Column("source_hash", String(64), nullable=False),  # of what was read
    Column("status", String(20), nullable=False),  # done | failed
    Column("tries", Integer, nullable=False, default=1),
    Column("reason", Text, nullable=False, default=""),
    Column("seconds", Double, nullable=False, default=0.0),
    Column("at", Double, nullable=False),
)

scene_vectors = Table(  # one vector a scene, in the space of the content vectors
    "scene_vectors",
    metadata,
    Column("item_num", Key, ForeignKey("items.num"), primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("encoder", String(100), nullable=False),
    Column("source_hash", String(64), nullable=False),
    Column("dim", Integer, nullable=False),
    Column("data", LargeBinary, nullable=False),
)

vectors = Table(  # float16 little-endian blobs
    "vectors",
    metadata,
    Column("item_num", Key, ForeignKey("items.num"), primary_key=True),
    Column("modality", String(20), primary_key=True),  # content | text | picture | sound
    Column("encoder", String(100), primary_key=True),  # several side by side while one serves
    Column("source_hash", String(64), nullable=False),  # of what was encoded
    Column("dim", Integer, nullable=False),
    Column("data", LargeBinary, nullable=False),
)

encodings = Table(  # the cache of encoders: never encode the same content twice
    "encodings",
    metadata,
    Column("encoder", String(100), primary_key=True),
    Column("source_hash", String(64), primary_key=True),
    Column("data", LargeBinary, nullable=False),
)

models = Table(
    "models",
    metadata,
    Column("version", String(100), primary_key=True),
    Column("strategy", String(100), nullable=False),
    Column("path", Text, nullable=False),  # relative to the workspace's models/ folder
    Column("created_at", Double, nullable=False),
    Column("data_hash", String(64), nullable=False),
    Column("status", String(20), nullable=False),  # champion | challenger | retired
    Column("metrics", JSON, nullable=False, default=dict),
)

TABLES = tuple(metadata.tables)
