"""What aggregators are made of, as TFF factories. Modules here import TensorFlow and TFF."""
