"""what understanding finds"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_table(
        "copies",
        sa.Column("item_num", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "other_num", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("score", sa.Double(), nullable=False),
        sa.Column("evidence", sa.JSON(), nullable=False),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.ForeignKeyConstraint(["item_num"], ["items.num"], name=op.f("fk_copies_item_num")),
        sa.ForeignKeyConstraint(["other_num"], ["items.num"], name=op.f("fk_copies_other_num")),
        sa.PrimaryKeyConstraint("item_num", "other_num", name=op.f("pk_copies")),
    )
    op.create_table(
        "cues",
        sa.Column("item_num", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("model", sa.String(length=100), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("start_s", sa.Double(), nullable=False),
        sa.Column("end_s", sa.Double(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["item_num"], ["items.num"], name=op.f("fk_cues_item_num")),
        sa.PrimaryKeyConstraint("item_num", "model", "position", name=op.f("pk_cues")),
    )
    op.create_table(
        "done",
        sa.Column("item_num", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("step", sa.String(length=40), nullable=False),
        sa.Column("model", sa.String(length=100), nullable=False),
        sa.Column("source_hash", sa.String(length=64), nullable=False),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("seconds", sa.Double(), nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(["item_num"], ["items.num"], name=op.f("fk_done_item_num")),
        sa.PrimaryKeyConstraint("item_num", "step", name=op.f("pk_done")),
    )
    op.create_table(
        "measures",
        sa.Column(
            "num",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("item_num", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("name", sa.String(length=60), nullable=False),
        sa.Column("value", sa.Double(), nullable=False),
        sa.Column("model", sa.String(length=100), nullable=False),
        sa.Column("start_s", sa.Double(), nullable=True),
        sa.ForeignKeyConstraint(["item_num"], ["items.num"], name=op.f("fk_measures_item_num")),
        sa.PrimaryKeyConstraint("num", name=op.f("pk_measures")),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("measures", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_measures_item_num"), ["item_num"], unique=False)

    op.create_table(
        "notes",
        sa.Column("item_num", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("kind", sa.String(length=30), nullable=False),
        sa.Column("model", sa.String(length=100), nullable=False),
        sa.Column("language", sa.String(length=20), nullable=False),
        sa.Column("generated", sa.Boolean(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["item_num"], ["items.num"], name=op.f("fk_notes_item_num")),
        sa.PrimaryKeyConstraint("item_num", "kind", "model", name=op.f("pk_notes")),
    )
    op.create_table(
        "prints",
        sa.Column("item_num", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("kind", sa.String(length=30), nullable=False),
        sa.Column("model", sa.String(length=100), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["item_num"], ["items.num"], name=op.f("fk_prints_item_num")),
        sa.PrimaryKeyConstraint("item_num", "kind", "model", name=op.f("pk_prints")),
    )
    op.create_table(
        "scene_vectors",
        sa.Column("item_num", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("encoder", sa.String(length=100), nullable=False),
        sa.Column("source_hash", sa.String(length=64), nullable=False),
        sa.Column("dim", sa.Integer(), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["item_num"], ["items.num"], name=op.f("fk_scene_vectors_item_num")
        ),
        sa.PrimaryKeyConstraint("item_num", "position", name=op.f("pk_scene_vectors")),
    )
    with op.batch_alter_table("annotations", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_annotations_item_num_kind"), ["item_num", "kind"], unique=False
        )

    with op.batch_alter_table("scenes", schema=None) as batch_op:
        batch_op.add_column(sa.Column("keyframe", sa.Integer(), nullable=True))

    with op.batch_alter_table("vectors", recreate="always") as batch_op:
        batch_op.drop_constraint("pk_vectors", type_="primary")
        batch_op.create_primary_key("pk_vectors", ["item_num", "modality", "encoder"])


def downgrade() -> None:
    # One encoder an item and modality is left: the one that sorts last.
    op.execute(
        "DELETE FROM vectors WHERE encoder < (SELECT MAX(v.encoder) FROM vectors v WHERE "
        "v.item_num = vectors.item_num AND v.modality = vectors.modality)"
    )
    with op.batch_alter_table("vectors", recreate="always") as batch_op:
        batch_op.drop_constraint("pk_vectors", type_="primary")
        batch_op.create_primary_key("pk_vectors", ["item_num", "modality"])
    with op.batch_alter_table("scenes", schema=None) as batch_op:
        batch_op.drop_column("keyframe")

    with op.batch_alter_table("annotations", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_annotations_item_num_kind"))

    op.drop_table("scene_vectors")
    op.drop_table("prints")
    op.drop_table("notes")
    with op.batch_alter_table("measures", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_measures_item_num"))

    op.drop_table("measures")
    op.drop_table("done")
    op.drop_table("cues")
    op.drop_table("copies")
