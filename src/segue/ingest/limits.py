"""What a media file may cost. Anything larger is refused with its reason."""

from __future__ import annotations

from dataclasses import dataclass, fields

from segue.core.errors import BadSettings

MEGABYTE = 1 << 20


@dataclass(frozen=True)
class MediaLimits:
    """Bounds on one file and on the child process that decodes it.

    CPU time grows with the size of the file: ``base_cpu_s + cpu_s_per_mb * MB``, at most
    ``max_cpu_s``. Decoding stops by itself at ``soft_share`` of it and keeps what it has; the
    kernel ends the child at all of it. What counts is CPU time, so that a busy machine reads the
    same as an idle one; waiting ends after ``wall_patience`` times as many seconds by the clock.
    """

    max_file_bytes: int = 20 << 30
    max_document_bytes: int = 300 << 20  # documents and pictures are held in memory
    max_duration_s: float = 12 * 3600.0
    max_pixels: int = 64_000_000
    max_text_chars: int = 400_000
    max_zip_bytes: int = 200 << 20  # all of an archive, unpacked
    max_zip_ratio: float = 200.0  # unpacked bytes for each packed byte, of one member
    max_zip_members: int = 5_000
    max_pages: int = 400
    max_cues: int = 20_000
    max_keyframes: int = 60  # one a scene; of more scenes the longest get one
    spread_keyframes: int = 24  # more, of other shots and within those longer than two of:
    keyframe_every_s: float = 2.0  # a copy that was cut is known by them
    max_audio_s: float = 2 * 3600.0  # 230 MB of samples
    picture_side_px: int = 640
    memory_bytes: int = 2 << 30
    open_files: int = 64
    base_cpu_s: float = 4.0
    cpu_s_per_mb: float = 3.0
    max_cpu_s: float = 900.0
    soft_share: float = 0.75
    wall_patience: float = 5.0

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not value > 0:
                raise BadSettings(f"media limit {field.name} must be > 0, got {value}")
        if self.soft_share >= 1:
            raise BadSettings(f"media limit soft_share must be < 1, got {self.soft_share}")

    def cpu_s(self, size: int) -> float:
        """CPU seconds that a file of ``size`` bytes may take."""
        return min(self.max_cpu_s, self.base_cpu_s + self.cpu_s_per_mb * size / MEGABYTE)

    def wall_s(self, size: int) -> float:
        """Seconds by the clock after which a child that merely waits is ended."""
        return self.wall_patience * self.cpu_s(size)
