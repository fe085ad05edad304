"""The media plane: datagrams in, datagrams out. Only `socket` touches the system, only `dtls` keeps a clock."""
