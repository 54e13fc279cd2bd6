"""What there is to hear: speech or music over time, what music it is, fingerprints, CLAP."""
