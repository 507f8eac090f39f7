//! Samples of one scrape, put together to metrics.
//!
//! Everything that stays from scrape to scrape (resources, scopes, names, families,
//! groups) is kept here and found by index, so that a known sample costs no hashing.

mod parts;

use alloc::vec::Vec;
use core::hash::BuildHasher;

use hashbrown::{DefaultHashBuilder, HashMap, HashTable};
use otelpipe_core::attributes::{Attributes, Interner};
use otelpipe_core::batch::{MetricBatch, ResourceMetrics, ScopeMetrics};
use otelpipe_core::metric::{Histogram, MetricData, Sum};
use otelpipe_core::point::{Exemplar, Flags, NumberPoint, NumberValue};
use otelpipe_core::resource::{Resource, Scope};
use otelpipe_core::shared_str::SharedStr;
use otelpipe_core::time::ns_from_ms;
use otelpipe_core::value::is_stale;

use self::parts::{Base, Parts};
pub(crate) use self::parts::{ns_from_s, whole};
use super::cache::{Series, shrink};
use super::metadata::MetadataStore;
use crate::family::{Family, FamilyKind, Role};

/// Why a sample did not make it into the batch.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum AddError {
    /// The samples of a point carry different times.
    InconsistentTime,
    /// A bucket or quantile without `le` or `quantile`.
    NoBound,
}

/// Where the samples of a series go: group and role, and the generation of the family of
/// its name for which they hold.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    generation: u32,
    group: u32,
    /// Index of its [`Role`].
    role: u32,
}

impl Place {
    /// It is looked up when the first sample comes.
    pub(crate) const UNKNOWN: Self = Self { generation: u32::MAX, group: NONE, role: 0 };
}

#[derive(Debug)]
struct ResourceSlot {
    resource: Resource,
    /// Attributes from `target_info` in this scrape.
    info: Attributes,
    info_epoch: u32,
}

#[derive(Debug)]
struct ScopeSlot {
    resource: u32,
    scope: Scope,
}

/// A sample name within a scope.
#[derive(Debug)]
struct NameSlot {
    scope: u32,
    name: SharedStr,
    is_up: bool,
    family: u32,
    /// Metadata version for which `family` was found.
    version: u64,
    /// Grows when the name moves to another family or the family changes its kind.
    generation: u32,
    epoch: u32,
}

#[derive(Debug)]
struct FamilySlot {
    scope: u32,
    family: Family,
    epoch: u32,
    numbers: Vec<NumberPoint>,
    /// Groups of this scrape, for kinds that are put together from several samples.
    groups: Vec<u32>,
    /// How many points the last scrape had.
    last_len: usize,
}

/// What becomes one point.
#[derive(Debug)]
struct Group {
    attributes: Attributes,
    family: u32,
    /// Index into [`Assembly::parts`], if it has some.
    parts: u32,
}

/// How far a group has come in the current scrape.
#[derive(Clone, Copy, Debug, Default)]
struct Progress {
    time_ms: i64,
    created_s: f64,
    epoch: u32,
    /// Index into the family's numbers; of histograms and summaries, into the points that
    /// were made last.
    at: u32,
}

/// No slot.
pub(crate) const NONE: u32 = u32::MAX;

/// Roles without a bound.
const PLAIN_ROLES: [Role; 5] = [Role::Value, Role::Sum, Role::Count, Role::Created, Role::Unbound];

/// The state between scrapes, and the points of the current one.
#[derive(Debug, Default)]
pub(crate) struct Assembly {
    trim_suffixes: bool,
    /// Number of the current attempt at a batch; slots of another epoch are unused.
    epoch: u32,
    resources: Vec<ResourceSlot>,
    resource_index: HashMap<(SharedStr, SharedStr), u32>,
    scopes: Vec<ScopeSlot>,
    names: Vec<NameSlot>,
    /// By scope and name.
    name_index: HashTable<u32>,
    families: Vec<FamilySlot>,
    /// By scope and name.
    family_index: HashTable<u32>,
    /// What metrics say about their types, each once.
    types: Vec<Attributes>,
    groups: Vec<Group>,
    /// By group, as far as there were any samples since [`Assembly::shrink`].
    progress: Vec<Progress>,
    /// By family and the address of the interned attribute list.
    group_index: HashTable<u32>,
    hasher: DefaultHashBuilder,
    parts: Vec<Parts>,
    /// Those that places have, each once; the first are [`PLAIN_ROLES`].
    roles: Vec<Role>,
    /// Index of the bounds among them, by their bits.
    role_index: HashMap<u64, u32>,
    /// Families of this scrape in order of first appearance.
    used: Vec<u32>,
    /// The epoch of the batch that was finished last, and what is in it.
    finished: u32,
    taken: Vec<Taken>,
}

/// Points of a family in a batch.
#[derive(Debug)]
struct Taken {
    /// Resource and scope, in order of the batch.
    under: (u32, u32),
    family: u32,
    len: u32,
}

/// Where the samples of a place went in the batch that was finished last.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Located {
    /// What they are put together with.
    pub(crate) group: u32,
    pub(crate) role: Role,
    pub(crate) kind: FamilyKind,
    /// Position of their point in the batch; `None` if it did not become one.
    pub(crate) slot: Option<u32>,
    /// Whether they are those of the exposed `up`.
    pub(crate) is_up: bool,
}

impl Assembly {
    pub(crate) fn new(trim_suffixes: bool) -> Self {
        Self { trim_suffixes, epoch: 1, roles: PLAIN_ROLES.to_vec(), ..Self::default() }
    }

    /// The slot of a resource; `make` is called for one that is new.
    pub(crate) fn resource(&mut self, job: &str, instance: &str, make: impl FnOnce() -> Resource) -> u32 {
        let key = (SharedStr::from(job), SharedStr::from(instance));
        if let Some(at) = self.resource_index.get(&key) {
            return *at;
        }
        let at = index(self.resources.len());
        self.resources.push(ResourceSlot { resource: make(), info: Attributes::new(), info_epoch: 0 });
        self.resource_index.insert(key, at);
        at
    }

    /// The slot of a scope. Targets have one or a few, so a linear search will do.
    pub(crate) fn scope(&mut self, resource: u32, scope: Scope) -> u32 {
        let known = |slot: &ScopeSlot| slot.resource == resource && slot.scope == scope;
        index(self.scopes.iter().position(known).unwrap_or_else(|| {
            self.scopes.push(ScopeSlot { resource, scope });
            self.scopes.len() - 1
        }))
    }

    /// The slot of a sample name.
    pub(crate) fn name(&mut self, scope: u32, name: &SharedStr) -> u32 {
        let next = index(self.names.len());
        let key = |at: u32| self.names[at as usize].key();
        let at = find_or_insert(&mut self.name_index, &self.hasher, (scope, name), next, key);
        if at == next {
            self.names.push(NameSlot {
                scope,
                name: name.clone(),
                is_up: *name == *"up",
                family: NONE,
                version: u64::MAX,
                generation: 0,
                epoch: 0,
            });
        }
        at
    }

    /// Adds a sample. The attributes must be interned: a list is known by its address.
    pub(crate) fn add(
        &mut self,
        series: Series<&Attributes>,
        place: &mut Place,
        interner: &mut Interner,
        metadata: &MetadataStore,
        time_ms: i64,
        value: f64,
    ) -> Result<(), AddError> {
        self.resolve_name(series.name, metadata);
        if self.names[series.name as usize].generation != place.generation {
            self.resolve_place(series, place, interner);
        }
        let epoch = self.epoch;
        let role = self.roles[place.role as usize];
        if role == Role::Unbound {
            return Err(AddError::NoBound);
        }
        if self.progress.len() <= place.group as usize {
            self.progress.resize(self.groups.len(), Progress::default());
        }
        let group = &mut self.groups[place.group as usize];
        let progress = &mut self.progress[place.group as usize];
        let family = &mut self.families[group.family as usize];
        if family.epoch != epoch {
            family.epoch = epoch;
            self.used.push(group.family);
            family.numbers.clear();
            family.groups.clear();
            family.numbers.reserve_exact(family.last_len);
        }
        if progress.epoch != epoch {
            *progress = Progress { time_ms, created_s: 0.0, epoch, at: NONE };
            if family.kind_is_merged() {
                family.groups.push(place.group);
                if group.parts == NONE {
                    group.parts = index(self.parts.len());
                    self.parts.push(Parts::default());
                }
                self.parts[group.parts as usize].clear();
            }
        } else if progress.time_ms != time_ms {
            return Err(AddError::InconsistentTime);
        }
        let parts = self.parts.get_mut(group.parts as usize);
        match (role, parts) {
            (Role::Value, _) => progress.set_number(&group.attributes, family, value),
            (Role::Created, _) => progress.set_created(family, value),
            (Role::Sum, Some(parts)) => parts.sum = Some(value),
            (Role::Count, Some(parts)) => parts.count = Some(value),
            (Role::Bound(bound), Some(parts)) => parts.bounds.push((bound, value)),
            // Numbers have none of these roles, and the others have parts.
            (Role::Sum | Role::Count | Role::Bound(_) | Role::Unbound, _) => {}
        }
        Ok(())
    }

    /// Sets the start time of the point that a sample belongs to, in milliseconds.
    #[expect(clippy::cast_precision_loss, reason = "upstream keeps seconds as a float too")]
    pub(crate) fn set_start(&mut self, place: &Place, start_ms: i64) {
        let Some(progress) = self.progress.get_mut(place.group as usize) else { return };
        if progress.epoch == self.epoch {
            let family = self.groups[place.group as usize].family;
            progress.set_created(&mut self.families[family as usize], start_ms as f64 / 1_000.0);
        }
    }

    /// Attaches an exemplar to the point that a sample belongs to; summaries have none.
    pub(crate) fn add_exemplar(&mut self, place: &Place, exemplar: Exemplar) {
        let Some(group) = self.groups.get(place.group as usize) else { return };
        let Some(progress) = self.progress.get(place.group as usize) else { return };
        let family = &mut self.families[group.family as usize];
        match family.family.kind {
            FamilyKind::Summary => {}
            FamilyKind::Histogram => {
                if let Some(parts) = self.parts.get_mut(group.parts as usize) {
                    parts.exemplars.push(exemplar);
                }
            }
            FamilyKind::Gauge | FamilyKind::Sum { .. } => {
                if let Some(point) = family.numbers.get_mut(progress.at as usize) {
                    point.exemplars.push(exemplar);
                }
            }
        }
    }

    /// Adds the attributes of a `target_info` sample to a resource, for this scrape.
    pub(crate) fn add_resource_info(&mut self, resource: u32, attributes: &Attributes) {
        let slot = &mut self.resources[resource as usize];
        if slot.info_epoch != self.epoch {
            slot.info_epoch = self.epoch;
            slot.info.clear();
        }
        for (key, value) in attributes {
            slot.info.insert(key.clone(), value.clone());
        }
    }

    /// Forgets the samples of this scrape.
    pub(crate) fn discard(&mut self) {
        self.epoch = self.epoch.wrapping_add(1).max(1);
        self.used.clear();
    }

    /// Moves the points of this scrape to `out`, grouped by resource and scope in order
    /// of first appearance.
    pub(crate) fn finish(&mut self, out: &mut MetricBatch) {
        // Where a scope's metrics go: (scope, resource in `out`, scope in it).
        let mut open: Vec<(u32, usize, usize)> = Vec::new();
        let mut open_resources: Vec<(u32, usize)> = Vec::new();
        self.finished = self.epoch;
        self.taken.clear();
        for used in 0..self.used.len() {
            let slot = &mut self.families[self.used[used] as usize];
            let data = slot.take_points(&self.groups, &mut self.progress, &mut self.parts);
            let Some(data) = data else { continue };
            let scope_at = slot.scope;
            let (resource_out, scope_out) = match open.iter().find(|(scope, ..)| *scope == scope_at) {
                Some((_, resource, scope)) => (*resource, *scope),
                None => {
                    let scope = &self.scopes[scope_at as usize];
                    let known = open_resources.iter().find(|(resource, _)| *resource == scope.resource);
                    let resource_out = known.map(|(_, at)| *at).unwrap_or_else(|| {
                        let resource = self.resources[scope.resource as usize].current(self.epoch);
                        out.resources.push(ResourceMetrics { resource, scopes: Vec::new() });
                        open_resources.push((scope.resource, out.resources.len() - 1));
                        out.resources.len() - 1
                    });
                    let scopes = &mut out.resources[resource_out].scopes;
                    scopes.push(ScopeMetrics { scope: scope.scope.clone(), metrics: Vec::new() });
                    open.push((scope_at, resource_out, scopes.len() - 1));
                    (resource_out, scopes.len() - 1)
                }
            };
            self.taken.push(Taken {
                under: (index(resource_out), index(scope_out)),
                family: self.used[used],
                len: index(slot.last_len),
            });
            let metrics = &mut out.resources[resource_out].scopes[scope_out].metrics;
            if metrics.is_empty() {
                metrics.reserve_exact(self.used.len());
            }
            metrics.push(slot.family.template.clone());
            if let Some(metric) = metrics.last_mut() {
                metric.data = data;
            }
        }
        self.discard();
    }

    /// The position of each family's first point in the batch that was finished last;
    /// [`NONE`] for those without points. To be handed to [`Assembly::locate`].
    pub(crate) fn first_slots(&mut self) -> Vec<u32> {
        self.taken.sort_by_key(|taken| taken.under);
        let mut slots = alloc::vec![NONE; self.families.len()];
        let mut next = 0;
        for Taken { family, len, .. } in &self.taken {
            slots[*family as usize] = next;
            next += len;
        }
        slots
    }

    /// Where samples of a place went in the batch that was finished last, and will go in the
    /// next one if nothing changes. `None` if something changed.
    pub(crate) fn locate(
        &self,
        name: u32,
        place: &Place,
        metadata: &MetadataStore,
        first_slots: &[u32],
    ) -> Option<Located> {
        let name = self.names.get(name as usize)?;
        if name.version != metadata.version() || name.generation != place.generation {
            return None;
        }
        let group = self.groups.get(place.group as usize)?;
        let progress = self.progress.get(place.group as usize);
        let Progress { at, .. } = progress.filter(|progress| progress.epoch == self.finished)?;
        let first = first_slots[group.family as usize];
        let slot = (first != NONE && *at != NONE).then(|| first + at);
        let kind = self.families[group.family as usize].family.kind;
        let role = *self.roles.get(place.role as usize)?;
        Some(Located { group: place.group, role, kind, slot, is_up: name.is_up })
    }

    /// Whether a name is that of the exposed `up`.
    pub(crate) fn is_up(&self, name: u32) -> bool {
        self.names.get(name as usize).is_some_and(|name| name.is_up)
    }

    /// Gives back room that is not needed as long as no sample is added.
    pub(crate) fn shrink(&mut self) {
        shrink(&mut self.groups);
        shrink(&mut self.names);
        shrink(&mut self.families);
        (self.progress, self.parts) = (Vec::new(), Vec::new());
        self.groups.iter_mut().for_each(|group| group.parts = NONE);
    }

    /// Gives back all but names, scopes and resources: [`Assembly::add`] finds it again. No
    /// place is valid any more.
    pub(crate) fn rest(&mut self) {
        (self.groups, self.group_index) = (Vec::new(), HashTable::new());
        (self.progress, self.parts, self.taken) = (Vec::new(), Vec::new(), Vec::new());
        (self.families, self.family_index) = (Vec::new(), HashTable::new());
        self.names.iter_mut().for_each(|name| (name.family, name.version) = (NONE, u64::MAX));
        self.names.shrink_to_fit();
    }

    /// How many slots there are: grows with every name and label set ever seen.
    pub(crate) fn len(&self) -> usize {
        self.names.len() + self.groups.len() + self.scopes.len() + self.resources.len()
    }

    /// Forgets the slots that no name in `series` uses, and renumbers the others. Call it
    /// between scrapes. Places find their group again with their next sample.
    pub(crate) fn compact<'p>(
        &mut self,
        series: impl Iterator<Item = (&'p mut u32, &'p mut Place)>,
        resources: impl Iterator<Item = &'p mut u32>,
    ) {
        let mut compacted = Self { epoch: self.epoch, ..Self::new(self.trim_suffixes) };
        let keys: HashMap<u32, (SharedStr, SharedStr)> =
            self.resource_index.drain().map(|(key, at)| (at, key)).collect();
        let move_resource = |old: u32, compacted: &mut Self| match keys.get(&old) {
            Some((job, instance)) => {
                compacted.resource(job, instance, || self.resources[old as usize].resource.clone())
            }
            None => old,
        };
        for resource in resources {
            *resource = move_resource(*resource, &mut compacted);
        }
        let mut moved: HashMap<u32, u32> = HashMap::new();
        for (name, place) in series {
            *name = *moved.entry(*name).or_insert_with(|| {
                let name = &self.names[*name as usize];
                let scope = &self.scopes[name.scope as usize];
                let resource = move_resource(scope.resource, &mut compacted);
                let scope = compacted.scope(resource, scope.scope.clone());
                compacted.name(scope, &name.name)
            });
            *place = Place::UNKNOWN;
        }
        *self = compacted;
    }

    fn resolve_name(&mut self, at: u32, metadata: &MetadataStore) {
        let slot = &mut self.names[at as usize];
        if slot.version == metadata.version() || slot.epoch == self.epoch {
            slot.epoch = self.epoch; // within one scrape a name keeps its first family
            return;
        }
        slot.epoch = self.epoch;
        slot.version = metadata.version();
        let mut family = Family::resolve(&slot.name, self.trim_suffixes, |name| metadata.get(name));
        share(&mut self.types, &mut family.template.metadata);
        let scope = slot.scope;
        let mut slot_is_current = true;
        let next = index(self.families.len());
        let key = |at: u32| self.families[at as usize].key();
        let wanted = (scope, family.name.as_str());
        let found = find_or_insert(&mut self.family_index, &self.hasher, wanted, next, key);
        if found == next {
            self.families.push(FamilySlot {
                scope,
                family,
                epoch: 0,
                numbers: Vec::new(),
                groups: Vec::new(),
                last_len: 0,
            });
        } else {
            let known = &mut self.families[found as usize];
            // A family that already has points in this scrape keeps what it was until
            // the next one.
            if known.family == family {
            } else if known.epoch == self.epoch {
                slot_is_current = false;
            } else {
                let kind_changed = known.family.kind != family.kind;
                known.family = family;
                if kind_changed {
                    for name in self.names.iter_mut().filter(|name| name.family == found) {
                        name.generation = name.generation.wrapping_add(1);
                    }
                }
            }
        }
        let slot = &mut self.names[at as usize];
        if !slot_is_current {
            slot.version = u64::MAX;
        }
        if slot.family != found {
            slot.family = found;
            slot.generation = slot.generation.wrapping_add(1);
        }
    }

    fn resolve_place(&mut self, series: Series<&Attributes>, place: &mut Place, interner: &mut Interner) {
        let Series { name, attributes } = series;
        let name = &self.names[name as usize];
        let family_at = name.family;
        let family = &self.families[family_at as usize].family;
        let (bound, own) = match family.kind.bound_label() {
            Some(label) if attributes.get(label).is_some() => {
                let others = attributes.iter().filter(|(name, _)| name != label);
                let others = others.map(|(name, value)| (name.as_str(), value.str_or_empty()));
                (attributes.get_str(label), interner.list(others))
            }
            _ => (None, attributes.clone()),
        };
        let role = family.role(&name.name, bound);
        place.generation = name.generation;
        place.role = match PLAIN_ROLES.iter().position(|plain| *plain == role) {
            Some(at) => index(at),
            None => self.bound_role(role),
        };
        let (groups, hasher) = (&self.groups, &self.hasher);
        let key = |group: &Group| (group.family, group.attributes.address());
        let wanted = (family_at, own.address());
        let hash = hasher.hash_one(wanted);
        if let Some(known) = self.group_index.find(hash, |at| key(&groups[*at as usize]) == wanted) {
            place.group = *known;
            return;
        }
        place.group = index(groups.len());
        self.group_index.insert_unique(hash, place.group, |at| hasher.hash_one(key(&groups[*at as usize])));
        self.groups.push(Group { family: wanted.0, attributes: own, parts: NONE });
    }

    /// The index of a role with a bound.
    fn bound_role(&mut self, role: Role) -> u32 {
        let Role::Bound(bound) = role else { return 0 };
        let next = index(self.roles.len());
        let at = *self.role_index.entry(bound.to_bits()).or_insert(next);
        if at == next {
            self.roles.push(role);
        }
        at
    }
}

impl ResourceSlot {
    fn current(&self, epoch: u32) -> Resource {
        let mut resource = self.resource.clone();
        if self.info_epoch == epoch {
            for (key, value) in &self.info {
                resource.attributes.insert(key.clone(), value.clone());
            }
        }
        resource
    }
}

impl NameSlot {
    fn key(&self) -> (u32, &str) {
        (self.scope, &self.name)
    }
}

impl FamilySlot {
    fn key(&self) -> (u32, &str) {
        (self.scope, &self.family.name)
    }

    fn kind_is_merged(&self) -> bool {
        matches!(self.family.kind, FamilyKind::Histogram | FamilyKind::Summary)
    }

    /// The points of this scrape; `None` when there are none.
    fn take_points(
        &mut self,
        groups: &[Group],
        progress: &mut [Progress],
        parts: &mut [Parts],
    ) -> Option<MetricData> {
        let mut data = self.family.template.data.clone();
        let own = self.groups.iter();
        let len = match &mut data {
            MetricData::Gauge(points) | MetricData::Sum(Sum { points, .. }) => {
                *points = core::mem::take(&mut self.numbers);
                points.len()
            }
            MetricData::Histogram(Histogram { points, .. }) => {
                for at in own {
                    let (group, progress) = (&groups[*at as usize], &mut progress[*at as usize]);
                    let of_group = parts.get_mut(group.parts as usize);
                    let base = progress.base(group);
                    if let Some(point) = of_group.and_then(|parts| parts.histogram_point(base)) {
                        progress.at = index(points.len());
                        points.push(point);
                    }
                }
                points.len()
            }
            MetricData::Summary(points) => {
                for at in own {
                    let (group, progress) = (&groups[*at as usize], &mut progress[*at as usize]);
                    let of_group = parts.get_mut(group.parts as usize);
                    let base = progress.base(group);
                    if let Some(point) = of_group.and_then(|parts| parts.summary_point(base)) {
                        progress.at = index(points.len());
                        points.push(point);
                    }
                }
                points.len()
            }
            MetricData::Empty | MetricData::ExponentialHistogram(_) => 0,
        };
        self.last_len = len;
        (len > 0).then_some(data)
    }
}

impl Progress {
    fn base(self, group: &Group) -> Base<'_> {
        Base { attributes: &group.attributes, created_s: self.created_s, time_ms: self.time_ms }
    }

    fn set_number(&mut self, attributes: &Attributes, family: &mut FamilySlot, value: f64) {
        if self.at == NONE {
            self.at = index(family.numbers.len());
            family.numbers.push(NumberPoint {
                attributes: attributes.clone(),
                start_time_ns: ns_from_s(self.created_s),
                time_ns: ns_from_ms(self.time_ms),
                value: NumberValue::Empty,
                flags: Flags::default(),
                exemplars: Vec::new(),
            });
        }
        let point = &mut family.numbers[self.at as usize];
        if is_stale(value) {
            (point.value, point.flags) = (NumberValue::Empty, Flags::NO_RECORDED_VALUE);
        } else {
            (point.value, point.flags) = (NumberValue::Double(value), Flags::default());
        }
    }

    fn set_created(&mut self, family: &mut FamilySlot, seconds: f64) {
        self.created_s = seconds;
        if let (FamilyKind::Sum { .. }, Some(point)) =
            (family.family.kind, family.numbers.get_mut(self.at as usize))
        {
            point.start_time_ns = ns_from_s(seconds);
        }
    }
}

/// The slot with this key, which `key` gives of slots in the index. If there is none it is
/// `next` from now on.
fn find_or_insert<'k>(
    index: &mut HashTable<u32>,
    hasher: &DefaultHashBuilder,
    wanted: (u32, &str),
    next: u32,
    key: impl Fn(u32) -> (u32, &'k str),
) -> u32 {
    let is_wanted = |at: &u32| key(*at) == wanted;
    *index.entry(hasher.hash_one(wanted), is_wanted, |at| hasher.hash_one(key(*at))).or_insert(next).get()
}

/// Replaces a list by one of the known ones, to which it belongs from now on. There are few.
fn share(known: &mut Vec<Attributes>, list: &mut Attributes) {
    match known.iter().find(|known| *known == list) {
        Some(known) => list.clone_from(known),
        None => known.push(list.clone()),
    }
}

/// Slots are numbered with 32 bits: a target with more series than that does not fit
/// into memory.
fn index(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(NONE - 1)
}
