include!("../prelude.rs");
#[derive(Clone, Serialize, Deserialize)]
pub struct Approval { by: String }
#[job]
async fn publish(approval: &Approval) -> Ticket { Ticket { id: approval.by.len() as u64 } }
workflow! {
    async fn onboard(customer: u64) -> Ticket {
        let approval: Prefs = signal("approve");
        let later = signal::<Approval>("later").timeout(1h);
        publish(&approval).after(customer);
        publish(&later)
    }
}
fn main() {}
