"""pfrun: a pluggable multi-runtime launcher for Apache Pulsar Functions."""
