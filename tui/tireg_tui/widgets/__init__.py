"""One file per widget; a domain object comes in, a message goes out."""
