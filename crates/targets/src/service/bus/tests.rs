use super::*;
use proptest::prelude::*;

/// An answer as a bus writes it: to this call, with this variant as its body.
fn answer(to: u32, is_error: bool, body: &[u8]) -> Vec<u8> {
    let mut message = vec![b'l', if is_error { 3 } else { 2 }, 1, 1];
    message.extend(u32::try_from(body.len()).unwrap().to_le_bytes());
    message.extend(99_u32.to_le_bytes());
    // A sender and a signature stand before the number that counts.
    let mut fields = vec![7, 1, b's', 0, 4, 0, 0, 0, b':', b'1', b'.', b'3', 0, 0, 0, 0];
    fields.extend([8, 1, b'g', 0, 1, b'v', 0, 0]);
    fields.extend([5, 1, b'u', 0]);
    fields.extend(to.to_le_bytes());
    message.extend(u32::try_from(fields.len()).unwrap().to_le_bytes());
    message.extend(fields);
    message.extend(body);
    message
}

fn text(value: &str) -> Vec<u8> {
    let mut body = vec![1, b's', 0, 0];
    body.extend(u32::try_from(value.len()).unwrap().to_le_bytes());
    body.extend(value.as_bytes());
    body.push(0);
    body
}

/// The first of the calls that are answered here; the one before it introduced us.
const FIRST: u32 = HELLO + 1;

fn heard(bytes: &[u8]) -> io::Result<BTreeMap<String, String>> {
    hear(&mut &*bytes, FIRST)
}

#[test]
fn answers_are_taken_in_any_order_and_what_is_not_known_is_left_out() {
    let mut said = answer(HELLO, false, &text(":1.7"));
    let asked: Vec<(u32, &str)> = (FIRST..).zip(PROPERTIES.map(|(_, name)| name)).collect();
    for (serial, name) in asked.into_iter().rev() {
        said.extend(match name {
            "ActiveState" => answer(serial, false, &text("active")),
            "MainPID" => answer(serial, false, &[1, b'u', 0, 0, 42, 0, 0, 0]),
            "ExecMainStatus" => answer(serial, false, &[1, b'i', 0, 0, 0xff, 0xff, 0xff, 0xff]),
            "CPUUsageNSec" => answer(serial, false, &[1, b't', 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 1, 0, 0, 0]),
            "InvocationID" => answer(serial, false, &[2, b'a', b'y', 0, 2, 0, 0, 0, 0xab, 0x01]),
            _ => answer(serial, true, &text("unknown property")),
        });
    }

    let known = heard(&said).unwrap();

    let known: Vec<(&str, &str)> = known.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let expected = [
        ("ActiveState", "active"),
        ("CPUUsageNSec", "4294967301"),
        ("ExecMainStatus", "-1"),
        ("InvocationID", "ab01"),
        ("MainPID", "42"),
    ];
    assert_eq!(known, expected);
}

#[test]
fn a_bus_that_lets_nobody_in_or_says_too_much_is_not_listened_to() {
    assert!(heard(&answer(HELLO, true, &text("no"))).is_err());
    let mut huge = answer(FIRST, false, &text("x"));
    huge[4..8].copy_from_slice(&(65_u32 << 10).to_le_bytes());
    assert!(heard(&huge).is_err());
    let strays: Vec<u8> = (0..5000).flat_map(|_| answer(7777, false, &text("x"))).collect();
    assert!(heard(&strays).is_err());
    assert!(welcome(&mut &b"REJECTED EXTERNAL\r\n"[..]).is_err());
    assert!(welcome(&mut &b"OK without an end"[..]).is_err());
    assert!(welcome(&mut &b"OK 1234\r\n"[..]).is_ok());
}

#[test]
fn a_units_path_has_letters_and_digits_only() {
    assert_eq!(object_path("app.service"), "/org/freedesktop/systemd1/unit/app_2eservice");
    assert_eq!(object_path("2up-b@c.service"), "/org/freedesktop/systemd1/unit/_32up_2db_40c_2eservice");
}

#[test]
fn other_kinds_of_units_are_left_to_systemctl() {
    assert_eq!(
        Bus::default().properties(SystemdScope::System, "app.timer").unwrap_err().kind(),
        io::ErrorKind::Unsupported
    );
}

proptest! {
    #[test]
    fn whatever_comes_is_an_answer_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        drop(heard(&bytes));
        drop(welcome(&mut &*bytes));
    }

    #[test]
    fn a_damaged_answer_is_an_answer_or_an_error(at in 0_usize..60, byte in any::<u8>(), cut in 0_usize..70) {
        let mut bytes = answer(FIRST, false, &text("loaded"));
        let length = bytes.len();
        bytes[at % length] = byte;
        bytes.truncate(cut);
        drop(heard(&bytes));
    }
}
