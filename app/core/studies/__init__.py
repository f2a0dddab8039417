"""Several recipes on one model, compared.

requests.py     what a caller may ask for: recipes, of which each may stand for several points
controls.py     what pruning is compared with: the same amount at random, and by plain magnitude
planning.py     a request -> the jobs that it takes
submitting.py   from a request to a study with its queued jobs; `add_jobs` serves studies that grow
sharing.py      steps that two jobs begin with are run by one of them, and the other waits for it
lifecycle.py    what the start and the end of a job mean for its study
comparing.py    results of jobs -> points, front, best
checks.py       what is refused of a search
gate.py         what test examples say that no trial of a search saw
verdict.py      which trial of a search to take, whether its budget is kept, and why
reading.py      studies as callers see them
"""
