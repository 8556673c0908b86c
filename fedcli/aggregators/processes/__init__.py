"""What aggregators compute on the server, as TFF processes. Modules here import TensorFlow and TFF."""
