"""Classes of tests with ``mock_s3``: whatever prepares them and clears up after them has their server, and no test sees
what another one did.
"""

import os
import textwrap
import unittest

import boto3
import pytest

from s3ish.testing import mock_s3
from tests.inner_pytest import run_pytest


def names():
    return [it["Name"] for it in boto3.client("s3").list_buckets()["Buckets"]]


@pytest.fixture(autouse=True)
def nowhere(monkeypatch):
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    yield
    assert "AWS_ENDPOINT_URL" not in os.environ


def run_case(case):
    result = unittest.TestResult()
    unittest.defaultTestLoader.loadTestsFromTestCase(case).run(result)
    return result


def test_each_step_of_a_case_of_unittest_has_its_server():
    seen = []

    @mock_s3(buckets=("made",))
    class Case(unittest.TestCase):
        @classmethod
        def setUpClass(cls):
            super().setUpClass()
            cls.s3 = boto3.client("s3")
            cls.s3.create_bucket(Bucket="of-class")
            cls.addClassCleanup(lambda: seen.append(("class clean-up", names())))

        def setUp(self):
            self.addCleanup(lambda: seen.append(("clean-up", names())))
            boto3.client("s3").create_bucket(Bucket="of-test")

        def test_one(self):
            self.s3.delete_bucket(Bucket="made")
            seen.append(("test", names()))

        test_two = test_one

        def tearDown(self):
            self.s3.delete_bucket(Bucket="of-class")

        @classmethod
        def tearDownClass(cls):
            seen.append(("class", names()))

    result = run_case(Case)
    assert (result.testsRun, result.errors, result.failures) == (2, [], [])
    of_test = [("test", ["of-class", "of-test"]), ("clean-up", ["of-test"])]
    assert seen == [*of_test, *of_test, ("class", ["made", "of-class"]), ("class clean-up", ["made", "of-class"])]


def test_a_coroutine_of_unittest_has_its_server_in_what_prepares_it():
    seen = []

    @mock_s3
    class Case(unittest.IsolatedAsyncioTestCase):
        async def asyncSetUp(self):
            boto3.client("s3").create_bucket(Bucket="prepared")

        async def test_one(self):
            seen.append(names())

        async def asyncTearDown(self):
            boto3.client("s3").delete_bucket(Bucket="prepared")
            seen.append(names())

    assert run_case(Case).wasSuccessful()
    assert seen == [["prepared"], []]


def test_a_case_that_cannot_be_prepared_leaves_nothing():
    @mock_s3
    class Case(unittest.TestCase):
        @classmethod
        def setUpClass(cls):
            boto3.client("s3").create_bucket(Bucket="No")

        def test_one(self):
            raise AssertionError("it is not run")

    result = run_case(Case)
    assert (result.testsRun, len(result.errors)) == (0, 1)
    assert "InvalidBucketName" in result.errors[0][1] or "Invalid bucket name" in result.errors[0][1]


def test_a_case_that_is_run_by_itself_has_a_server():
    @mock_s3(buckets=("made",))
    class Case(unittest.TestCase):
        def test_one(self):
            boto3.client("s3").delete_bucket(Bucket="made")

    assert Case("test_one").run().wasSuccessful()
    assert Case("test_one").run().wasSuccessful()


def test_a_case_that_inherits_a_server_has_one_of_its_own():
    @mock_s3
    class Case(unittest.TestCase):
        @classmethod
        def setUpClass(cls):
            cls.s3 = boto3.client("s3")
            cls.s3.create_bucket(Bucket="of-class")

    class One(Case):
        def test_one(self):
            self.s3.create_bucket(Bucket="one")

    class Two(Case):
        def test_two(self):
            assert names() == ["of-class"]

    for case in (One, Two):
        assert run_case(case).wasSuccessful()


def test_a_class_that_inherits_a_mock_and_has_one_has_its_own():
    @mock_s3(buckets=("of-first",))
    class First(unittest.TestCase):
        wanted = ("of-first", "prepared")

        @classmethod
        def setUpClass(cls):
            boto3.client("s3").create_bucket(Bucket="prepared")

        def test_one(self):
            assert names() == sorted(self.wanted)

    @mock_s3(buckets=("of-second",))
    class Second(First):
        wanted = ("of-second", "prepared")

    for case in (First, Second, First):
        assert run_case(case).wasSuccessful()


def test_each_step_of_a_class_of_pytest_has_its_server(tmp_path):
    code = """
        import boto3
        import os
        import pytest
        from s3ish.testing import mock_s3

        def make(name):
            boto3.client("s3").create_bucket(Bucket=name)

        def names():
            return [it["Name"] for it in boto3.client("s3").list_buckets()["Buckets"]]

        class Prepared:
            def setup_method(self):
                make("prepared")

        @mock_s3
        class TestInherited(Prepared):
            def test_one(self):
                assert names() == ["prepared"]

            test_two = test_one

            def teardown_method(self, method):
                boto3.client("s3").delete_bucket(Bucket="prepared")

        @mock_s3
        class TestClearedUp:
            def test_one(self):
                make("one")

            def teardown_method(self):
                boto3.client("s3").delete_bucket(Bucket="one")

        @mock_s3(buckets=("made",))
        class TestWhole:
            @classmethod
            def setup_class(cls):
                cls.s3 = boto3.client("s3")
                make("of-class")

            @pytest.fixture(scope="class", autouse=True)
            def shared(self):
                make("shared")
                yield
                boto3.client("s3").delete_bucket(Bucket="shared")

            @pytest.fixture
            def one(self):
                make("fixture")
                yield
                boto3.client("s3").delete_bucket(Bucket="fixture")

            @pytest.mark.parametrize("name", ("a-name", "b-name"))
            def test_one(self, name, one):
                self.s3.create_bucket(Bucket=name)
                assert names() == sorted([name, "fixture", "made", "of-class", "shared"])

            @classmethod
            def teardown_class(cls):
                assert names() == ["made", "of-class"]

        @mock_s3
        class TestOuter:
            def test_one(self):
                make("one")

            class TestInner:
                def test_one(self):
                    make("one")
                    assert names() == ["one"]

                test_two = test_one

            @mock_s3(buckets=("own",))
            class TestOwn:
                def test_one(self):
                    assert names() == ["own"]

        @mock_s3(buckets=("second",))
        class TestSecond(TestClearedUp):
            @pytest.fixture(autouse=True, scope="class")
            def setup_class(self):
                make("of-class")

            @pytest.fixture(autouse=True)
            def setup_method(self):
                make("of-test")
                yield
                assert names() == ["of-class", "of-test", "one", "second"]

        class TestBelow(TestClearedUp):
            def setup_method(self):
                make("prepared")

        def test_after():
            assert "AWS_ENDPOINT_URL" not in os.environ
    """
    (tmp_path / "test_it.py").write_text(textwrap.dedent(code))
    ended = run_pytest(tmp_path)
    assert "12 passed" in ended.stdout, ended.stdout + ended.stderr


def test_one_mock_is_entered_twice():
    mock = mock_s3()
    with mock as one, mock as two:
        assert one.endpoint != two.endpoint == os.environ["AWS_ENDPOINT_URL"]


def test_what_cannot_be_mocked_is_refused():
    with pytest.raises(TypeError, match="options have names"):
        mock_s3("made")
    with pytest.raises(TypeError, match="above @mock_s3"):

        @mock_s3
        @pytest.fixture
        def fixture():
            raise AssertionError("it is not called")
