"""Engines run a pure task over many jobs: in this process, on all cores, or on a Dask cluster."""
