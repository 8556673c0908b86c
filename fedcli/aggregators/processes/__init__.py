"""What aggregators are made of, as TFF processes and factories. Modules here import TensorFlow and TFF."""
