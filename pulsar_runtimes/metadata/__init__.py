"""The state of record: what is registered, what runs where, and who leads, kept in Pulsar topics."""
