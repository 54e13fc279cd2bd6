"""segue: a recommender for audio and video, from a folder of media to reasoned recommendations."""

__version__ = "0.1.0"
