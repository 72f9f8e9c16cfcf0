"""Every golden statement for Redshift is one statement of Redshift's language, as another parser knows it: sqlglot."""

import pathlib
import sys

import sqlglot
from sqlglot import exp

GOLDEN = pathlib.Path(__file__).parent / "golden"

# What sqlglot takes for a function of somebody else's is no error to it, so those are left to the tests in Rust.
wrong = []
parsed = 0
for path in sorted(GOLDEN.glob("*/redshift.sql")):
    sql = path.read_text()
    if sql.startswith("-- error: "):
        continue
    try:
        statements = sqlglot.parse(sql, read="redshift", error_level=sqlglot.ErrorLevel.RAISE)
    except sqlglot.errors.SqlglotError as error:
        wrong.append(f"{path}: {error}")
        continue
    if len(statements) != 1 or not isinstance(statements[0], (exp.Select, exp.Union)):
        wrong.append(f"{path} is not one query")
        continue
    if list(statements[0].find_all(exp.Command)):
        wrong.append(f"{path} has a part that only its name is known of")
    parsed += 1

for each in wrong:
    print(each, file=sys.stderr)
if parsed < 120:
    print(f"only {parsed} statements are there to be parsed", file=sys.stderr)
print(f"{parsed} statements for Redshift parse in sqlglot {sqlglot.__version__}")
sys.exit(1 if wrong or parsed < 120 else 0)
