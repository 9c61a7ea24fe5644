"""The admin API over HTTP: paths, forms and answers of Apache Pulsar's functions worker."""
