"""What a job would make of a model, predicted from facts before anything runs: READ THIS FIRST.

forecasting   facts + job -> every step, file and figure of the prediction
sizes         an expected network -> bytes of a file in each format
work          an expected network -> the arithmetic of training it
rates         how fast this service's past jobs were
planning      POST /v1/plans: a job's body, checked like a job, and what it would come to

What a technique does to a network, its own class says (`StepBase.expected`).
"""
