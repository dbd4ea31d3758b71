"""The paper's update rule, parameter groups and learning-rate schedules."""
