"""What runs inside producer and consumer processes: standard library and huey only, under any interpreter."""
