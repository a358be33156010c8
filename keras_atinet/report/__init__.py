"""Pages about runs: curves, pictures, scores and how they came about, in one HTML file."""

from keras_atinet.report.run_page import run_report
