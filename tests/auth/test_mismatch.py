"""What is left out of the texts that a client with a wrong signature gets, and that long ones cost little."""

import time

import pytest

from s3ish.auth.mismatch import mismatch, without_keys

KEY = "c2VjcmV0LWtleS1vZi10aGUtY2xpZW50LTEyMzQ1Ng=="


@pytest.mark.parametrize(
    "text",
    [
        f"GET\n/b/k\n\nhost:h\nx-amz-server-side-encryption-customer-key:{KEY}\n\nhost",
        f"GET\n/b/k\na=b&X-Amz-Server-Side-Encryption-Customer-Key={KEY}&c=d\nhost:h",
        f"/b/k?x-amz-copy-source-server-side-encryption-customer-key={KEY}",
        f"GET\n/b/k\nx%2Damz-server-side-encryption-customer%2Dkey={KEY}&c=d\nhost:h",
    ],
)
def test_keys_of_clients_are_left_out(text):
    assert KEY not in without_keys(text)
    assert without_keys(text).count("REDACTED") == 1
    details = mismatch("AK", "00", text, text).details
    assert all(KEY not in str(value) for value in details.values())


def test_other_texts_stay_as_they_are():
    text = f"GET\n/b/k:v=w\nkey={KEY}&a=b\nhost:h\nx-amz-server-side-encryption-customer-key-md5:{KEY}"
    assert without_keys(text) == text


@pytest.mark.parametrize("repeated", ["a", "%41", "-", "server-side-encryption-customer-key"])
def test_a_text_that_is_four_times_as_long_takes_no_sixteen_times_as_long(repeated):
    def seconds(length):
        text, found = repeated * (length // len(repeated)), []
        for _ in range(5):
            begun = time.process_time()
            for _ in range(10):
                without_keys(text)
            found.append(time.process_time() - begun)
        return min(found)

    assert seconds(40_000) < 9 * seconds(10_000) + 0.002
