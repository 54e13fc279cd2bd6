"""Steps that look at pictures: colours, attributes, words on screen, objects, fingerprints."""
