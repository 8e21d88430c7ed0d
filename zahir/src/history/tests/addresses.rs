//! Names of node instances.

use super::*;

fn find(graph: &'static Graph, name: &str) -> Result<Vec<String>, String> {
    let program = Program::of(graph);
    let names = |id| program.site(id).node.name();
    match address::find(&program.plan, &names, name) {
        Ok(found) => Ok(found.iter().map(|at| format!("{at:?}")).collect()),
        Err(unknown) if unknown.is_pure => Err("pure".to_owned()),
        Err(unknown) => Err(unknown.near.unwrap_or_default()),
    }
}

#[test]
fn nodes_are_found_by_the_names_around_them() {
    assert_eq!(find(Items::graph(), "sum").unwrap(), ["7"]);
    assert_eq!(
        find(Items::graph(), "products[17]/second").unwrap(),
        ["3[17]/6"]
    );
    assert_eq!(find(Called::graph(), "inner/d").unwrap(), ["2[0]/8"]);
}

#[test]
fn without_a_number_it_is_every_item() {
    let found = find(Items::graph(), "products/second").unwrap();
    assert_eq!(found, ["3[4294967295]/6"]);
    let found = find(Items::graph(), "products[2]").unwrap();
    assert_eq!(found, ["3[2]/5", "3[2]/6"]);
}

#[test]
fn what_is_not_there_may_be_meant_otherwise() {
    let near = |graph, name| find(graph, name).unwrap_err();
    assert_eq!(near(Items::graph(), "summ"), "sum");
    assert_eq!(
        near(Items::graph(), "products[4]/secnd"),
        "products[4]/second"
    );
    assert_eq!(
        near(Items::graph(), "prodcts[4]/second"),
        "products[4]/second"
    );
    assert_eq!(near(Items::graph(), "nothing of the kind"), "");
    assert_eq!(near(Items::graph(), "sum[3]"), "");
    assert_eq!(near(Items::graph(), "sum/x"), "");
    assert_eq!(near(Items::graph(), "products[x]/second"), "");
    assert_eq!(near(Items::graph(), "products[4294967295]/second"), "");
    assert_eq!(near(Items::graph(), ""), "");
}

#[test]
fn what_is_pure_is_never_on_record() {
    assert_eq!(find(Items::graph(), "order").unwrap_err(), "pure");
}
