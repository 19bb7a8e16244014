"""Networks: torchvision ResNets of any width, and the streams of compressed video."""
