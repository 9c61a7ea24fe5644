"""A client of the admin API that functions workers serve, pfrun's and Apache Pulsar's alike."""
