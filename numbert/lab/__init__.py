"""What the experiments of the lecture share. Their pictures are drawn by `numbert.svg`, which is found here, too."""
from .. import svg as svg
