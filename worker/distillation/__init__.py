"""What distillation needs: READ `teaching.py` FIRST.

student, teacher    who learns, and whose answers are learned
answers             the losses of answers
hints, attention, relational    lessons beside answers, each a loss between intermediate values
intermediates, matching         which values of both networks belong together
stages              the progressive way
"""
