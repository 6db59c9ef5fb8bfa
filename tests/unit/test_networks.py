"""One reading of addresses, whatever writes them, and nobody is believed who could have been anybody."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuppence_server.config.loading import load
from tuppence_server.config.networks import Mistake, Networks, address, key, neighbourhood, network
from tuppence_server.config.settings import Settings, SettingsError
from tuppence_server.edge.addresses import Addresses

V4, V6 = ipaddress.IPv4Address("192.0.2.7"), ipaddress.IPv6Address("2001:db8:1:2::7")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("192.0.2.7", V4),
        (" 192.0.2.7 ", V4),
        ("192.0.2.7:443", V4),
        ('"192.0.2.7:443"', V4),
        ("::ffff:192.0.2.7", V4),
        ("::FFFF:C000:0207", V4),
        ("[::ffff:192.0.2.7]:443", V4),
        ("2001:db8:1:2::7", V6),
        ("2001:0DB8:1:2:0:0:0:7", V6),
        ("[2001:db8:1:2::7]", V6),
        ('"[2001:db8:1:2::7]:8080"', V6),
        ("fe80::1%eth0", ipaddress.ip_address("fe80::1")),
        *(
            (text, None)
            for text in (
                "", "unknown", "_hidden", "192.0.2", "192.0.2.256", "0192.0.2.7", "192.0.2.7:", "192.0.2.7:x",
                "192.0.2.7:65536", "192.0.2.7:-1", "[2001:db8::1", "2001:db8::1]", "[2001:db8::1]x",
                "[192.0.2.7",
                "192.0.2.7/32", "example.org", "1" * 10_000, "192.0.2.7:" + "1" * 10_000, "\u0667.7.7.7",
                "\x00",
            )
        ),
    ],
)  # fmt: skip
def test_an_address_is_read_in_every_way_it_is_written(text, found):
    assert address(text) == found


@given(st.ip_addresses(v=6))
def test_a_64_is_one_address_and_a_48_one_neighbourhood(one):
    other = ipaddress.IPv6Address(int(one) ^ 0xFFFF)
    if one.ipv4_mapped is None and other.ipv4_mapped is None:
        assert key(str(one)) == key(other.exploded) == key(f"[{other}]:9")
        assert key(str(ipaddress.IPv6Address(int(one) ^ (1 << 64)))) != key(str(one))
        assert neighbourhood(str(ipaddress.IPv6Address(int(one) ^ (1 << 64)))) == neighbourhood(str(one))
        assert neighbourhood(str(ipaddress.IPv6Address(int(one) ^ (1 << 80)))) != neighbourhood(str(one))


def test_ipv4_counts_by_address_however_it_is_written():
    assert (
        len({key(text) for text in ("192.0.2.7", "::ffff:192.0.2.7", "192.0.2.7:1", "[::ffff:c000:207]:2")})
        == 1
    )
    assert key("192.0.2.7") != key("192.0.2.8")
    assert neighbourhood("192.0.2.7") == neighbourhood("192.0.2.8") != neighbourhood("192.0.3.7")
    assert key("nobody") == "nobody"


@pytest.mark.parametrize(
    "text",
    ["*", "", "localhost", "proxy.example", "10.0.0.1/8", "10.0.0.0/33", "10.0.0", "10.0.0.0/", "/8",
     "0.0.0.0/0",
     "::/0", "0.0.0.0/1", "8.0.0.0/7", "2000::/3", "10.0.0.1:80", "[::1]", "10.0.0.0/8 10.1.0.0/16",
     "10.0.0.0-10.0.0.9",
     "::ffff:0:0/96", "unix:", "10.0.0.*", "none"],
)  # fmt: skip
def test_what_nobody_should_trust_is_refused_by_name(text, tmp_path):
    with pytest.raises(Mistake):
        network(text)
    with pytest.raises(SettingsError, match="trusted_proxies"):
        load({"data": tmp_path, "trusted_proxies": ["127.0.0.1", text]}, {})


@pytest.mark.parametrize(
    ("text", "inside", "outside"),
    [
        ("127.0.0.1", "127.0.0.1", "127.0.0.2"),
        ("::ffff:127.0.0.1", "127.0.0.1", "127.0.0.2"),
        ("127.0.0.1", "::ffff:127.0.0.1", "::1"),
        ("10.0.0.0/8", "10.200.3.4", "11.0.0.1"),
        ("10.0.0.0/8", "::ffff:10.200.3.4", "::ffff:11.0.0.1"),
        ("::ffff:10.0.0.0/104", "10.200.3.4", "11.0.0.1"),
        ("172.16.0.0/255.240.0.0", "172.31.9.9", "172.32.0.1"),
        ("::1", "0:0:0:0:0:0:0:1", "::2"),
        ("fd00:1:2::/48", "fd00:1:2:3::4", "fd00:1:3::4"),
        ("2001:DB8::7", "2001:db8:0:0::7", "2001:db8::8"),
        ("10.0.0.0/8", "10.1.1.1", "unknown"),
    ],
)
def test_a_network_is_honoured_whatever_it_is_written_like(text, inside, outside):
    trusted = Networks([text])
    assert inside in trusted
    assert outside not in trusted
    assert trusted.behind(inside, "192.0.2.7") == "192.0.2.7"
    assert trusted.behind(outside, "192.0.2.7") == outside


@pytest.mark.parametrize(
    ("forwarded", "client"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("198.51.100.1, 192.0.2.7", "192.0.2.7"),
        ("198.51.100.1, 192.0.2.7, 10.0.0.9", "192.0.2.7"),
        ("198.51.100.1, 192.0.2.7:8080, [::ffff:10.0.0.9]:1", "192.0.2.7"),
        ("10.9.9.9, 10.0.0.9", "10.9.9.9"),
        ("192.0.2.7, unknown", "10.0.0.1"),
        ("192.0.2.7, unknown, 10.0.0.9", "10.0.0.9"),
        ("192.0.2.7,", "10.0.0.1"),
        ("", "10.0.0.1"),
        (",,,", "10.0.0.1"),
        ("2001:db8:1:2::7", "2001:db8:1:2::7"),
    ],
)
def test_nobody_is_believed_beyond_who_is_trusted(forwarded, client):
    assert Networks(["10.0.0.0/8"]).behind("10.0.0.1", forwarded) == client


@given(st.text(max_size=60), st.ip_addresses(v=4))
def test_what_a_client_writes_before_never_counts(forged, client):
    trusted = Networks(["10.0.0.0/8"])
    if str(client) not in trusted:
        assert trusted.behind("10.0.0.1", f"{forged}, {client}") == str(client)


def test_a_household_is_counted_as_one_and_a_proxy_not_at_all():
    addresses = Addresses(3, Networks(["10.0.0.0/8"]))
    for last in range(4):
        addresses.enter(f"2001:db8:1:2::{last:x}")
        addresses.enter("10.0.0.1")
        assert addresses.crowded("2001:db8:1:2:ffff::1") is (last == 3)
    assert not addresses.crowded("2001:db8:1:3::1")
    assert not addresses.crowded("10.0.0.1")
    for last in range(4):
        addresses.leave(f"2001:db8:1:2::{last:x}")
        addresses.leave("10.0.0.1")
    assert not addresses._open


def test_the_settings_hold_networks():
    settings, _ = load({}, {"TUPPENCE_TRUSTED_PROXIES": "10.0.0.0/8, ::1"})
    assert settings.trusted_proxies == ("10.0.0.0/8", "::1")
    assert load({}, {"TUPPENCE_TRUSTED_PROXIES": ""})[0] == Settings()
