"""What algorithms put together: work of clients, as TFF processes. Modules here import TensorFlow and TFF."""
