"""The PostgreSQL of the tests: no test finds anything of another one in its database."""

import pytest

pytestmark = pytest.mark.needs("postgres")

CONTENTS = """
SELECT string_agg(query_to_xml(format('SELECT * FROM %s', oid::regclass), true, false, '')::text, ' ' ORDER BY relname)
FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'
"""
USED = "INSERT INTO changes (at, issuer, subject, action, entry) VALUES (1, 'i', 's', 'a', 'e') RETURNING id"


def test_a_database_is_as_new_when_it_is_given_out_again(postgres_server):
    """Also the numbers begin anew, and who was still connected is not any more."""
    url = postgres_server.new_database()
    new = postgres_server.ask(CONTENTS, url)
    [(first,)] = postgres_server.ask(USED, url)
    assert postgres_server.ask(CONTENTS, url) != new
    postgres_server.give_back(url)
    assert postgres_server.new_database() == url
    assert postgres_server.ask(CONTENTS, url) == new
    assert postgres_server.ask(USED, url) == [(first,)]
    postgres_server.give_back(url)


@pytest.mark.parametrize(
    "change",
    [
        "ALTER TABLE changes ADD COLUMN more text",
        "ALTER TABLE changes DISABLE TRIGGER ALL",
        "DROP TABLE alembic_version",
        "UPDATE alembic_version SET version_num = '9999'",
        "DROP INDEX changes_entry",
        "CREATE TABLE another ()",
    ],
)
def test_a_database_whose_tables_were_changed_is_given_to_nobody_else(postgres_server, change):
    url = postgres_server.new_database()
    postgres_server.ask(change, url)
    postgres_server.give_back(url)
    other = postgres_server.new_database()
    assert other != url
    postgres_server.give_back(other)
