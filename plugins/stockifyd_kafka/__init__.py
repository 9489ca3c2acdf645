"""Apache Kafka: the source."""
