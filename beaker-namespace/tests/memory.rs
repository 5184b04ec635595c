//! What the memory namespace promises.


use beaker_namespace::{
    Entry, Key, MemoryConfig, MemoryNamespace, Namespace, Payload,
};

fn raw(namespace: &dyn Namespace, text: &'static str) -> Entry {
    Entry::new(Payload::raw(text), namespace.clock().now())
}

fn text(entry: Option<Entry>) -> Option<String> {
    match entry?.into_payload() {
        Payload::Bytes { bytes, .. } => Some(String::from_utf8(bytes.to_vec()).unwrap()),
        Payload::Object(_) => None,
    }
}

#[test]
fn what_was_set_is_got_and_what_was_removed_is_not() {
    let memory = MemoryNamespace::anonymous(MemoryConfig::new()).unwrap();
    let key = Key::new("k");
    assert_eq!(text(memory.get(&key).unwrap()), None);
    memory.set(&key, raw(&*memory, "v")).unwrap();
    assert_eq!(text(memory.get(&key).unwrap()).as_deref(), Some("v"));
    assert!(memory.remove(&key).unwrap());
    assert!(!memory.remove(&key).unwrap());
    assert_eq!(text(memory.get(&key).unwrap()), None);
}
