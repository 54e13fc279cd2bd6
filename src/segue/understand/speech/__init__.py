"""What is said in an item: where there is speech, its language, and the words with their times."""

from segue.understand.speech.cues import read_webvtt as read_webvtt
from segue.understand.speech.cues import to_webvtt as to_webvtt
from segue.understand.speech.transcript import Speech as Speech
from segue.understand.speech.transcript import Subtitles as Subtitles
from segue.understand.speech.transcript import Transcript as Transcript
from segue.understand.speech.transcript import speech_steps as speech_steps
