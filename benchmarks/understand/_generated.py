"""Short clips made by video models, of one shot each: pictures that no rule was made on.

Which lie within one shot was seen on contact sheets and by the largest differences between
neighbouring frames. Those of one ``place`` show the same thing and are never neighbours.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
from PIL import Image

from segue.datasets.fetch import get

PLACES = {
    "api_google_gemini_omni_flash_t2v-1": "lift",
    "api_google_gemini_omni_flash_video_edit-1": "rider in space",
    "api_google_gemini_omni_flash_video_edit-2": "rider in space",
    "api_grok_imagine_video_1_5-1": "veil",
    "api_grok_video-1": "helmet",
    "api_grok_video_extend-1": "station",
    "api_happyhorse1_1_i2v-1": "silver hair",
    "api_happyhorse1_1_r2v-1": "carpet",
    "api_kling_avatar2-1": "red beret",
    "api_kling_dual_characters_effects-1": "embrace",
    "api_kling_motion_control3-1": "platform",
    "api_kling_motion_control3-2": "boxer",
    "api_kling_o3_video_edit-1": "mourner",
    "api_kling_o3_video_edit-2": "mourner",
    "api_luma_ray3_2_video_edit-1": "guitar",
    "api_luma_ray3_2_video_edit-2": "guitar",
    "api_luma_ray3_3_t2v-1": "tiger",
    "api_runway_aleph2_video_edit-1": "surfer",
    "api_runway_aleph2_video_edit-2": "skater",
    "api_wan2_7_t2v-1": "florist",
    "image_to_video_wan-1": "kitchen",
    "ltxv_image_to_video-1": "fox",
    "ltxv_text_to_video-1": "smile",
    "text_to_video_wan-1": "fox",
    "txt_to_image_to_video-1": "dusk",
    "video_bernini_r_video_editing-1": "coat",
    "video_capybara_v0_1_image_to_video-1": "green pair",
    "video_capybara_v0_1_video_edit-1": "horse",
    "video_capybara_v0_1_video_edit-2": "horse",
    "video_humo-1": "visor",
    "video_hunyuan_video_1.5_720p_i2v-1": "raptor",
    "video_hunyuan_video_1.5_720p_t2v-1": "paper plane",
    "video_ltx2_3_i2v-1": "queen",
    "video_ltx2_3_ia2v-1": "frog",
    "video_ltx2_3_ic_lora-1": "arch",
    "video_ltx2_3_ic_lora-2": "arch",
    "video_ltx2_3_id_lora-1": "presenter",
    "video_wan2.1_alpha_t2v_14B-1": "bubbles",
    "video_wan2.1_fun_camera_v1.1_1.3B-1": "waterfalls",
    "video_wan2.1_fun_camera_v1.1_14B-1": "pianist",
    "video_wan21_scail2_character_replacement-1": "meadow",
    "video_wan21_scail2_character_replacement-2": "meadow",
    "video_wan2_1_infinitetalk-1": "talk",
    "video_wan2_2_14B_flf2v-1": "painter",
    "video_wan2_2_14B_fun_camera-1": "mars",
    "video_wan2_2_14B_fun_control-1": "tower",
    "video_wan2_2_14B_i2v-1": "white dragon",
    "video_wan2_2_14B_s2v-1": "singer",
    "video_wan2_2_14B_t2v-1": "blonde",
    "video_wan2_2_5B_fun_control-1": "hood",
    "video_wan2_2_5B_ti2v-1": "underground",
    "video_wan_vace_14B_ref2v-1": "white dragon",
    "video_wan_vace_14B_v2v-1": "dancer",
    "video_wan_vace_14B_v2v-2": "dancer",
    "video_wan_vace_inpainting-2": "wanderer",
    "video_wan_vace_outpainting-1": "wreath",
}


def clips() -> dict[str, Path]:
    """The clips by name."""
    folder = get("media-comfyui")
    return {name: folder / f"{name}.webp" for name in PLACES}


def length_s(path: Path) -> float:
    with Image.open(path) as picture:
        return sum(_durations_s(picture))


def frames(path: Path) -> Iterator[tuple[float, av.VideoFrame]]:
    """(seconds, picture): PyAV does not read moving WebP."""
    now_s = 0.0
    with Image.open(path) as picture:
        for number in range(picture.n_frames):
            picture.seek(number)
            shown = np.asarray(picture.convert("RGB"))
            yield now_s, av.VideoFrame.from_ndarray(np.ascontiguousarray(shown), format="rgb24")
            now_s += picture.info["duration"] / 1000


def _durations_s(picture: Image.Image) -> Iterator[float]:
    for number in range(picture.n_frames):
        picture.seek(number)
        picture.load()
        yield picture.info["duration"] / 1000
