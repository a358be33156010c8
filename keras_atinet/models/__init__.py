"""The networks, each a functional `MultiTaskModel`."""

from keras_atinet.models.atinet import ATINet
from keras_atinet.models.cross_stitch import CrossStitch
from keras_atinet.models.ctal import CTAL
from keras_atinet.models.jtrl import JTRL
from keras_atinet.models.mtan import MTAN
from keras_atinet.models.mtinet import MTINet
from keras_atinet.models.multi_task_model import MultiTaskModel
from keras_atinet.models.nddrcnn import NDDRCNN
from keras_atinet.models.padnet import PADNet
from keras_atinet.models.papnet import PAPNet
from keras_atinet.models.single_task import SingleTask
from keras_atinet.models.split import Split
