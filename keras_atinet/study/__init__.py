"""Studies: networks and balancers trained over seeds, their scores, tables and pages."""

from keras_atinet.study.planning import Trial, check_settings, plan
from keras_atinet.study.results import Result, collect
from keras_atinet.study.summary import Row, columns, summarize
from keras_atinet.study.training import train_trial
