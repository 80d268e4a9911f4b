"""Pictures on the screen: decoded, fitted into cells, and real pixels laid over them."""
