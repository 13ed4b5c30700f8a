"""The tests. Their support modules show what differs, as tests do, where an assertion fails."""

import pytest

pytest.register_assert_rewrite("tests.support")
