"""From YAML files to settings that can be used, or every reason why not: reading, references, checks, schemas.

loading.py is the way in; gateway/settings.py says what may be written.
"""
