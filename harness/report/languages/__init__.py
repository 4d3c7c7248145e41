"""The languages of the page: English as it is written in the code, and catalogues for the others.

Words of templates and of the script are looked up as they stand. Sentences that the judgement made are stored
in English with the run; `said` reads them back by patterns and says them anew, so that a run of any age can be
read in any language.
"""

from harness.report.languages.known import CODES, ENGLISH, Language, language_of

__all__ = ["CODES", "ENGLISH", "Language", "language_of"]
