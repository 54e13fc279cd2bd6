"""people, their tastes and what is one"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.create_table(
        "links",
        sa.Column("entity", sa.String(length=10), nullable=False),
        sa.Column("num", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("into_num", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("method", sa.String(length=20), nullable=False),
        sa.Column("score", sa.Double(), nullable=True),
        sa.Column("evidence", sa.JSON(), nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("entity", "num", name=op.f("pk_links")),
    )
    with op.batch_alter_table("links", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_links_into_num"), ["into_num"], unique=False)

    op.create_table(
        "contacts",
        sa.Column(
            "num",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("user_num", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("item_num", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("campaign", sa.String(length=100), nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(["item_num"], ["items.num"], name=op.f("fk_contacts_item_num")),
        sa.ForeignKeyConstraint(["user_num"], ["users.num"], name=op.f("fk_contacts_user_num")),
        sa.PrimaryKeyConstraint("num", name=op.f("pk_contacts")),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("contacts", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_contacts_user_num_at"), ["user_num", "at"], unique=False
        )

    op.create_table(
        "exposures",
        sa.Column(
            "num",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("request_id", sa.String(length=40), nullable=False),
        sa.Column("user_num", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("item_num", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("propensity", sa.Double(), nullable=False),
        sa.Column("policy", sa.String(length=40), nullable=False),
        sa.Column("model_version", sa.String(length=100), nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(["item_num"], ["items.num"], name=op.f("fk_exposures_item_num")),
        sa.ForeignKeyConstraint(["user_num"], ["users.num"], name=op.f("fk_exposures_user_num")),
        sa.PrimaryKeyConstraint("num", name=op.f("pk_exposures")),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("exposures", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_exposures_request_id"), ["request_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_exposures_user_num"), ["user_num"], unique=False)

    op.create_table(
        "person_keys",
        sa.Column("user_num", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("consented_at", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(["user_num"], ["users.num"], name=op.f("fk_person_keys_user_num")),
        sa.PrimaryKeyConstraint("user_num", "kind", "digest", name=op.f("pk_person_keys")),
    )
    with op.batch_alter_table("person_keys", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_person_keys_digest"), ["digest"], unique=False)

    op.create_table(
        "taste_edits",
        sa.Column(
            "num",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("user_num", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("items", sa.JSON(), nullable=False),
        sa.Column("start", sa.Double(), nullable=True),
        sa.Column("end", sa.Double(), nullable=True),
        sa.Column("at", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(["user_num"], ["users.num"], name=op.f("fk_taste_edits_user_num")),
        sa.PrimaryKeyConstraint("num", name=op.f("pk_taste_edits")),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("taste_edits", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_taste_edits_user_num"), ["user_num"], unique=False)

    # Never by a copy: SQLite refuses to drop a table that events refer to.
    with op.batch_alter_table("users", schema=None, recreate="never") as batch_op:
        batch_op.add_column(sa.Column("device", sa.String(length=40), nullable=True))
        batch_op.add_column(
            sa.Column("shares", sa.Boolean(), server_default=sa.false(), nullable=False)
        )


def downgrade() -> None:
    with op.batch_alter_table("users", schema=None) as batch_op:
        batch_op.drop_column("shares")
        batch_op.drop_column("device")

    with op.batch_alter_table("taste_edits", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_taste_edits_user_num"))

    op.drop_table("taste_edits")
    with op.batch_alter_table("person_keys", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_person_keys_digest"))

    op.drop_table("person_keys")
    with op.batch_alter_table("exposures", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_exposures_user_num"))
        batch_op.drop_index(batch_op.f("ix_exposures_request_id"))

    op.drop_table("exposures")
    with op.batch_alter_table("contacts", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_contacts_user_num_at"))

    op.drop_table("contacts")
    with op.batch_alter_table("links", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_links_into_num"))

    op.drop_table("links")
