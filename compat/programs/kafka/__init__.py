"""Events to Apache Kafka: a broker of its own, started with Java from the packages of ``pom.xml``."""
