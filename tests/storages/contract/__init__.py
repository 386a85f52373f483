"""What `huey.storage.BaseStorage` says a storage does, asked of every Huey class that people have.

`subjects.py` lists the classes, `rules/` what is asked of each, `finds.py` who does otherwise, exactly how, and by
which line; `model.py` is the same contract as a plain Python object, which random sequences are compared with.
"""
